import { NativeMemory, Outcome } from '#src/splice/index.js';
import type { TlsTransport } from '#src/tls/index.js';
import { pause } from '../sockets/socket-kit.js';

const memory = new NativeMemory(64 * 1024);
/** EPOLLIN and EPOLLOUT. */
const EVENTS = 0x5;

/** One message. @returns what arrived */
export function pass(from: TlsTransport, to: TlsTransport, bytes: Buffer): Buffer {
  const chunks: Buffer[] = [];
  let sent = 0;
  let received = 0;
  for (let turn = 0; turn < 2000 && received < bytes.length; turn++) {
    const part = bytes.copy(memory.bytes, 0, sent);
    from.notice(EVENTS);
    const written = part === 0 ? 0 : from.write(memory.address, part);
    if (written === Outcome.Failed) throw new Error(`write: ${from.errno} ${from.failure}`);
    sent += Math.max(0, written);
    to.notice(EVENTS);
    const read = to.read(memory.address, memory.byteLength);
    if (read === Outcome.Eof || read === Outcome.Failed) throw new Error(`read: ${to.failure}`);
    if (read > 0) {
      chunks.push(Buffer.from(memory.bytes.subarray(0, read)));
      received += read;
    } else pause(1);
  }
  return Buffer.concat(chunks);
}
