// A DNS server whose answers a test writes: UDP and TCP on one port of 127.0.0.1, what was asked kept for asserting.
import dgram from 'node:dgram';
import { once } from 'node:events';
import net from 'node:net';

export type RecordType = 'A' | 'AAAA' | 'SRV' | 'CNAME';

export type DnsRecord =
  | { type: 'A' | 'AAAA'; address: string; ttl?: number; name?: string }
  | { type: 'CNAME'; target: string; ttl?: number; name?: string }
  | {
      type: 'SRV';
      priority?: number;
      weight?: number;
      port: number;
      target: string;
      ttl?: number;
      name?: string;
    };

/** What comes back for one question. */
export type Reply =
  | { records: DnsRecord[]; additional?: DnsRecord[] }
  /** Without records: NOERROR is NODATA. */
  | { rcode: 'NOERROR' | 'FORMERR' | 'SERVFAIL' | 'NXDOMAIN' | 'REFUSED' }
  /** Nothing at all. */
  | 'silence'
  /** Over UDP only the bit TC, whatever fits; the records over TCP. */
  | { truncated: DnsRecord[] }
  /** These bytes after the header. */
  | { garbage: Buffer };

export interface Question {
  name: string;
  type: RecordType;
  transport: 'udp' | 'tcp';
  /** On the clock of `performance`. */
  atMs: number;
}

/** Codes of RFC 1035 §3.2.2, RFC 3596, RFC 2782. */
const types: Record<RecordType, number> = { A: 1, CNAME: 5, AAAA: 28, SRV: 33 };
/** RFC 1035 §4.1.1 */
const rcodes = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, REFUSED: 5 } as const;
const flags = { response: 0x8000, truncated: 0x0200, recursion: 0x0180 };
const headerBytes = 12;
/** What fits into one datagram without EDNS. */
const datagramBytes = 512;
const defaultTtl = 60;

export class DnsServer {
  /** All that was asked, in order. */
  readonly questions: Question[] = [];
  readonly #replies = new Map<string, Reply>();
  readonly #udp: dgram.Socket;
  readonly #tcp: net.Server;
  readonly #connections = new Set<net.Socket>();

  private constructor(udp: dgram.Socket, tcp: net.Server) {
    this.#udp = udp;
    this.#tcp = tcp;
    udp.on('message', (message, { port, address }) => {
      const answer = this.#answer(message, 'udp');
      if (answer) udp.send(answer, port, address);
    });
    tcp.on('connection', (socket) => this.#serve(socket));
  }

  static async open(): Promise<DnsServer> {
    // The port must be free for both.
    for (;;) {
      const tcp = net.createServer().listen(0, '127.0.0.1');
      await once(tcp, 'listening');
      const udp = dgram.createSocket('udp4');
      udp.bind((tcp.address() as net.AddressInfo).port, '127.0.0.1');
      try {
        await once(udp, 'listening');
        return new DnsServer(udp, tcp);
      } catch {
        tcp.close();
      }
    }
  }

  /** As a resolver wants it: `127.0.0.1:5353`. */
  get address(): string {
    return `127.0.0.1:${this.#udp.address().port}`;
  }

  /** From now on, for all names that end the same way, in any case; what nobody wrote is NXDOMAIN. */
  reply(name: string, type: RecordType, reply: Reply): void {
    this.#replies.set(`${type} ${name.toLowerCase()}`, reply);
  }

  /** A host's addresses, of both families; a family without any is NODATA. */
  host(name: string, addresses: readonly string[], ttl = defaultTtl): void {
    for (const type of ['A', 'AAAA'] as const) {
      const records = addresses
        .filter((address) => net.isIPv6(address) === (type === 'AAAA'))
        .map((address): DnsRecord => ({ type, address, ttl }));
      this.reply(name, type, records.length > 0 ? { records } : { rcode: 'NOERROR' });
    }
  }

  /** The same reply to whatever is asked about a host's addresses. */
  both(name: string, reply: Reply): void {
    this.reply(name, 'A', reply);
    this.reply(name, 'AAAA', reply);
  }

  /** How often this was asked for. */
  asked(name: string, type: RecordType = 'A'): number {
    return this.questions.filter((one) => one.name === name && one.type === type).length;
  }

  async close(): Promise<void> {
    for (const connection of this.#connections) connection.destroy();
    this.#tcp.close();
    this.#udp.close();
    await once(this.#tcp, 'close');
  }

  #serve(socket: net.Socket): void {
    this.#connections.add(socket);
    socket.on('close', () => this.#connections.delete(socket)).on('error', () => undefined);
    let received = Buffer.alloc(0);
    socket.on('data', (bytes) => {
      received = Buffer.concat([received, bytes]);
      while (received.length >= 2 && received.length >= 2 + received.readUInt16BE(0)) {
        const endBytes = 2 + received.readUInt16BE(0);
        const answer = this.#answer(received.subarray(2, endBytes), 'tcp');
        received = received.subarray(endBytes);
        if (answer) socket.write(Buffer.concat([uint16(answer.length), answer]));
      }
    });
  }

  #answer(query: Buffer, transport: 'udp' | 'tcp'): Buffer | undefined {
    const { name, endBytes } = readName(query, headerBytes);
    const code = query.readUInt16BE(endBytes);
    const type = (Object.keys(types) as RecordType[]).find((type) => types[type] === code);
    if (type === undefined) return undefined;
    this.questions.push({ name, type, transport, atMs: performance.now() });
    const reply = this.#replies.get(`${type} ${name.toLowerCase()}`) ?? { rcode: 'NXDOMAIN' };
    if (reply === 'silence') return undefined;
    const question = query.subarray(headerBytes, endBytes + 4);
    return encode(query.readUInt16BE(0), question, name, reply, transport);
  }
}

function encode(
  id: number,
  question: Buffer,
  name: string,
  reply: Exclude<Reply, 'silence'>,
  transport: 'udp' | 'tcp',
): Buffer {
  const header = (code: number, answers: number, additional = 0) =>
    Buffer.concat(
      [id, code | flags.response | flags.recursion, 1, answers, 0, additional].map(uint16),
    );
  if ('rcode' in reply) return Buffer.concat([header(rcodes[reply.rcode], 0), question]);
  if ('garbage' in reply) return Buffer.concat([header(0, 1), question, reply.garbage]);
  const records = 'records' in reply ? reply.records : reply.truncated;
  const additional = 'records' in reply ? (reply.additional ?? []) : [];
  const body = [...records, ...additional].map((record) => encodeRecord(record, name));
  const whole = [header(0, records.length, additional.length), question, ...body];
  const answer = Buffer.concat(whole);
  const fits = transport === 'tcp' || ('records' in reply && answer.length <= datagramBytes);
  return fits ? answer : Buffer.concat([header(flags.truncated, 0), question]);
}

/** RFC 1035 §4.1.3 */
function encodeRecord(record: DnsRecord, name: string): Buffer {
  const data = encodeData(record);
  const ttl = Buffer.alloc(4);
  ttl.writeUInt32BE(record.ttl ?? defaultTtl);
  const head = [writeName(record.name ?? name), uint16(types[record.type]), uint16(1), ttl];
  return Buffer.concat([...head, uint16(data.length), data]);
}

function encodeData(record: DnsRecord): Buffer {
  switch (record.type) {
    case 'A':
      return Buffer.from(record.address.split('.').map(Number));
    case 'AAAA':
      return ipv6Bytes(record.address);
    case 'CNAME':
      return writeName(record.target);
    case 'SRV': {
      const numbers = [record.priority ?? 0, record.weight ?? 1, record.port].map(uint16);
      return Buffer.concat([...numbers, writeName(record.target)]);
    }
  }
}

function ipv6Bytes(address: string): Buffer {
  const [left = [], right = []] = address.split('::').map((part) =>
    part
      .split(':')
      .filter(Boolean)
      .map((digits) => Number.parseInt(digits, 16)),
  );
  const zeros = new Array(8 - left.length - right.length).fill(0);
  return Buffer.concat([...left, ...zeros, ...right].map(uint16));
}

function uint16(value: number): Buffer {
  const bytes = Buffer.alloc(2);
  bytes.writeUInt16BE(value);
  return bytes;
}

/** Without compression. */
function writeName(name: string): Buffer {
  const labels = name.split('.').filter(Boolean);
  const parts = labels.map((label) => Buffer.from(`${String.fromCharCode(label.length)}${label}`));
  return Buffer.concat([...parts, Buffer.alloc(1)]);
}

function readName(message: Buffer, position: number): { name: string; endBytes: number } {
  const labels: string[] = [];
  let at = position;
  for (let length = message[at]!; length !== 0; length = message[at]!) {
    labels.push(message.toString('latin1', at + 1, at + 1 + length));
    at += 1 + length;
  }
  return { name: labels.join('.'), endBytes: at + 1 };
}
