// The kernel's record layer played in userland, under a Kernel that is real otherwise: for what no kernel that tests run
// in can do (changing keys, Linux 6.14), and for hosts without kernel TLS. The peers are real ones.
import koffi from 'koffi';
import {
  createKernel,
  Errno,
  Iovec,
  type Kernel,
  Msghdr,
  NativeMemory,
  Socket,
  SocketOption,
} from '#src/splice/index.js';
import {
  type CipherSuite,
  cryptoInfoLayout,
  kernelCiphers,
  RecordType,
  TlsOption,
  TlsVersion,
} from '#src/tls/index.js';
import { type Call, ScriptedLibc } from '../faults/scripted-libc.js';
import { RecordLayer } from './record-layer.js';

const { SOL_TLS, TLS_TX, TLS_GET_RECORD_TYPE } = TlsOption;
const RECORD_BYTES_MAX = 16384;
const KEY_UPDATE = 24;
const scratch = new NativeMemory(256 * 1024);

const bytesAt = (address: number, length: number): Buffer =>
  Buffer.from(koffi.view(BigInt(address), length));

interface Plain {
  readonly type: number;
  content: Buffer;
}

class Connection {
  tx: RecordLayer | undefined;
  rx: RecordLayer | undefined;
  /** Received and not decrypted; sealed and not sent. */
  incoming: Buffer = Buffer.alloc(0);
  outgoing: Buffer = Buffer.alloc(0);
  readonly records: Plain[] = [];
  /** A KeyUpdate was handed out: nothing more is decrypted before the next key (tls_sw.c). */
  isKeyExpired = false;
}

export interface EmulationOptions {
  /** A direction that it has no cipher for: TLS_TX or TLS_RX. */
  readonly missing?: number;
  /** As Linux 6.14 can; otherwise a second key is EBUSY. */
  readonly canRenewKeys?: boolean;
  /** What recvmsg(2) gives at a time at most. */
  readonly messageBytesMax?: number;
}

export class KernelTlsEmulation {
  readonly libc: ScriptedLibc;
  readonly kernel: Kernel;
  /** Keys that were installed, first ones and later ones. */
  keys = 0;
  private readonly connections = new Map<number, Connection>();

  constructor(private readonly options: EmulationOptions = {}) {
    this.libc = new ScriptedLibc({
      setsockopt: (args, real) => this.setOption(args, real),
      recv: ([fd, address, length, flags], real) =>
        this.of(fd!)?.rx === undefined
          ? real(fd!, address!, length!, flags!)
          : this.receive(fd!, address!, length!),
      recvmsg: ([fd, message, flags]) => this.receiveMessage(fd!, message!, flags!),
      send: ([fd, address, length, flags], real) =>
        this.of(fd!)?.tx === undefined
          ? real(fd!, address!, length!, flags!)
          : this.send(fd!, RecordType.ApplicationData, bytesAt(address!, length!)),
      sendmsg: ([fd, message]) => this.sendMessage(fd!, message!),
      // Of a pipe this knows nothing: callers copy.
      splice: () => -Errno.EINVAL,
      close: ([fd], real) => {
        this.connections.delete(fd!);
        return real(fd!);
      },
    });
    this.kernel = createKernel(this.libc);
  }

  /** A record that the peer has not sent comes next. */
  inject(fd: number, type: number, content: readonly number[]): void {
    this.of(fd)!.records.push({ type, content: Buffer.from(content) });
  }

  private of(fd: number): Connection | undefined {
    return this.connections.get(fd);
  }

  private setOption(args: readonly number[], real: Call): number {
    const [fd, level, name, value, length] = args as [number, number, number, number, number];
    const { IPPROTO_TCP, TCP_ULP } = SocketOption;
    if (level === IPPROTO_TCP && name === TCP_ULP) {
      this.connections.set(fd, new Connection());
      return 0;
    }
    return level === SOL_TLS
      ? this.setKey(this.of(fd)!, name, bytesAt(value, length))
      : real(...args);
  }

  private setKey(connection: Connection, direction: number, info: Buffer): number {
    if (direction === this.options.missing) return -Errno.ENOENT;
    const isFirst = (direction === TLS_TX ? connection.tx : connection.rx) === undefined;
    if (!isFirst && this.options.canRenewKeys !== true) return -Errno.EBUSY;
    const cipher = Object.values(kernelCiphers).find(
      ({ number }) => number === info.readUInt16LE(2),
    )!;
    const version = info.readUInt16LE(0) as TlsVersion;
    const suite: CipherSuite = { version, cipher, hash: 'sha256' };
    const at = cryptoInfoLayout(cipher);
    const salt = info.subarray(at.salt, at.recSeq);
    const isExplicit = version === TlsVersion.Tls12 && salt.length > 0;
    const iv = isExplicit ? salt : Buffer.concat([salt, info.subarray(at.iv, at.key)]);
    const key = Buffer.from(info.subarray(at.key, at.salt));
    const layer = new RecordLayer(suite, { key, iv: Buffer.from(iv) });
    layer.sequence = info.readBigUInt64BE(at.recSeq);
    if (direction === TLS_TX) connection.tx = layer;
    else {
      connection.rx = layer;
      connection.isKeyExpired = false;
    }
    this.keys++;
    return 0;
  }

  private receive(fd: number, address: number, length: number): number {
    const connection = this.of(fd)!;
    let total = 0;
    while (total < length) {
      const record = this.next(connection, fd);
      if (typeof record === 'number') return total > 0 ? total : record;
      if (record.type !== RecordType.ApplicationData) return total > 0 ? total : -Errno.EIO;
      const part = record.content.subarray(0, length - total);
      write(address + total, part);
      this.consume(connection, part.length);
      total += part.length;
    }
    return total;
  }

  private receiveMessage(fd: number, message: number, flags: number): number {
    const connection = this.of(fd)!;
    const record = this.next(connection, fd);
    if (typeof record === 'number') return record;
    const header = bytesAt(message, Msghdr.size);
    const control = Buffer.alloc(20);
    control.writeUInt32LE(17, 0);
    control.writeInt32LE(SOL_TLS, 8);
    control.writeInt32LE(TLS_GET_RECORD_TYPE, 12);
    control.writeUInt8(record.type, 16);
    write(Number(header.readBigUInt64LE(Msghdr.control)), control);
    const iov = bytesAt(Number(header.readBigUInt64LE(Msghdr.iov)), Iovec.size);
    const wanted = Number(iov.readBigUInt64LE(Iovec.length));
    const most = Math.min(wanted, this.options.messageBytesMax ?? wanted);
    const part = record.content.subarray(0, most);
    write(Number(iov.readBigUInt64LE(Iovec.base)), part);
    if ((flags & Socket.MSG_PEEK) === 0) this.consume(connection, part.length);
    return part.length;
  }

  private sendMessage(fd: number, message: number): number {
    const header = bytesAt(message, Msghdr.size);
    const type = bytesAt(Number(header.readBigUInt64LE(Msghdr.control)), 17).readUInt8(16);
    const iov = bytesAt(Number(header.readBigUInt64LE(Msghdr.iov)), Iovec.size);
    const length = Number(iov.readBigUInt64LE(Iovec.length));
    return this.send(fd, type, bytesAt(Number(iov.readBigUInt64LE(Iovec.base)), length));
  }

  /** What is next in line, or 0 at the end, or a negative error number. */
  private next(connection: Connection, fd: number): Plain | number {
    const { records } = connection;
    if (connection.isKeyExpired) return -Errno.EKEYEXPIRED;
    if (records.length > 0) return records[0]!;
    const result = real.recv(fd, scratch.address, scratch.byteLength, 0);
    if (result > 0) {
      const arrived = scratch.bytes.subarray(0, result);
      connection.incoming = Buffer.concat([connection.incoming, arrived]);
    }
    const opened = connection.rx!.open(connection.incoming);
    if (opened === undefined) return result > 0 ? -Errno.EAGAIN : result;
    connection.incoming = opened.rest;
    records.push({ type: opened.type, content: Buffer.from(opened.content) });
    return records[0]!;
  }

  private consume(connection: Connection, length: number): void {
    const record = connection.records[0]!;
    const isUpdate = record.type === RecordType.Handshake && record.content[0] === KEY_UPDATE;
    record.content = record.content.subarray(length);
    if (record.content.length > 0) return;
    connection.records.shift();
    if (isUpdate && this.options.canRenewKeys === true) connection.isKeyExpired = true;
  }

  private send(fd: number, type: number, content: Buffer): number {
    const connection = this.of(fd)!;
    if (!this.flush(connection, fd)) return -Errno.EAGAIN;
    const part = content.subarray(0, RECORD_BYTES_MAX);
    connection.outgoing = connection.tx!.seal(type, part);
    this.flush(connection, fd);
    return part.length;
  }

  /** @returns true when nothing is left to send */
  private flush(connection: Connection, fd: number): boolean {
    while (connection.outgoing.length > 0) {
      scratch.bytes.set(connection.outgoing);
      const length = connection.outgoing.length;
      const sent = real.send(fd, scratch.address, length, Socket.MSG_NOSIGNAL);
      if (sent < 0) return false;
      connection.outgoing = connection.outgoing.subarray(sent);
    }
    return true;
  }
}

const real = createKernel();

function write(address: number, bytes: Buffer): void {
  bytesAt(address, bytes.length).set(bytes);
}
