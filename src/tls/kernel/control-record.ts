import { Cmsghdr, Iovec, type Kernel, Msghdr, NativeMemory, Socket } from '../../splice/index.js';
import { RecordType } from '../protocol/index.js';

/** linux/tls.h, linux/socket.h */
export const TlsOption = {
  SOL_TLS: 282,
  TLS_TX: 1,
  TLS_RX: 2,
  TLS_SET_RECORD_TYPE: 1,
  TLS_GET_RECORD_TYPE: 2,
} as const;

/** Longer messages than an alert come in parts of so many bytes. */
const CONTENT_BYTES = 512;
const CONTROL_BYTES = 24;

const IOV = Msghdr.size;
const CONTROL = IOV + Iovec.size;
const CONTENT = CONTROL + CONTROL_BYTES;

/** One message header with its parts, for all connections of this thread: nothing stays in it. */
const memory = new NativeMemory(CONTENT + CONTENT_BYTES);
const { address, bytes } = memory;
bytes.writeBigUInt64LE(BigInt(address + IOV), Msghdr.iov);
bytes.writeBigUInt64LE(1n, Msghdr.iovlen);
bytes.writeBigUInt64LE(BigInt(address + CONTROL), Msghdr.control);
bytes.writeBigUInt64LE(BigInt(address + CONTENT), IOV + Iovec.base);

const header = new DataView(bytes.buffer, bytes.byteOffset, CONTENT);

/** The content of what {@link receiveRecord} has read, until the next call. */
export const recordContent: Buffer = bytes.subarray(CONTENT);

let type = 0;

/** The type of what {@link receiveRecord} has read. */
export function recordType(): number {
  return type;
}

/**
 * Reads from the next record, of whatever type: recv(2) and splice(2) stop in front of one that is
 * not application data, and only a control message tells which type it is
 * (Documentation/networking/tls.rst, "Receiving TLS control messages").
 *
 * @param flags MSG_PEEK leaves it where it is
 * @param length at most {@link recordContent}'s
 * @returns bytes read, 0 at the end of the stream, or a negative error number
 */
export function receiveRecord(
  kernel: Kernel,
  fd: number,
  flags: number,
  length = CONTENT_BYTES,
): number {
  header.setUint32(IOV + Iovec.length, length, true);
  header.setUint32(Msghdr.controllen, CONTROL_BYTES, true);
  header.setUint32(CONTROL + Cmsghdr.len, 0, true);
  const result = kernel.recvmsg(fd, address, flags);
  if (result <= 0) return result;
  const isTold =
    header.getUint32(Msghdr.controllen, true) > 0 &&
    header.getInt32(CONTROL + Cmsghdr.level, true) === TlsOption.SOL_TLS &&
    header.getInt32(CONTROL + Cmsghdr.type, true) === TlsOption.TLS_GET_RECORD_TYPE;
  type = isTold ? header.getUint8(CONTROL + Cmsghdr.data) : RecordType.ApplicationData;
  return result;
}

/**
 * Writes a record that is not application data, behind all that was written before.
 *
 * @param content at most 512 bytes
 * @returns its length, or a negative error number
 */
export function sendRecord(
  kernel: Kernel,
  fd: number,
  recordType: number,
  content: readonly number[],
): number {
  for (let index = 0; index < content.length; index++) recordContent[index] = content[index]!;
  header.setUint32(IOV + Iovec.length, content.length, true);
  header.setUint32(Msghdr.controllen, Cmsghdr.data + 1, true);
  header.setUint32(CONTROL + Cmsghdr.len, Cmsghdr.data + 1, true);
  header.setInt32(CONTROL + Cmsghdr.level, TlsOption.SOL_TLS, true);
  header.setInt32(CONTROL + Cmsghdr.type, TlsOption.TLS_SET_RECORD_TYPE, true);
  header.setUint8(CONTROL + Cmsghdr.data, recordType);
  return kernel.sendmsg(fd, address, Socket.MSG_NOSIGNAL);
}
