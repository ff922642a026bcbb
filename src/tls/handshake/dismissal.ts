import { type Kernel, NativeMemory, Socket } from '../../splice/index.js';

const body = 'This port speaks TLS: the address begins with https.\n';
const answer = NativeMemory.copyOf(
  Buffer.from(
    'HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\n' +
      `Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`,
  ),
);

const scratch = new NativeMemory(65536);
/** A client that sends more than this without listening is not worth more reads. */
const DRAIN_READS_MAX = 4;

/** Tells a client that speaks HTTP where TLS is expected so. There is no second attempt. */
export function answerPlainHttp(kernel: Kernel, fd: number): void {
  kernel.send(fd, answer.address, answer.byteLength, Socket.MSG_NOSIGNAL);
}

/**
 * Empties the socket: close(2) answers unread bytes with an RST, and that would take the alert, or
 * the answer, out of the client's hands.
 */
export function drainSocket(kernel: Kernel, fd: number): void {
  for (let reads = 0; reads < DRAIN_READS_MAX; reads++) {
    if (kernel.recv(fd, scratch.address, scratch.byteLength, 0) < scratch.byteLength) return;
  }
}
