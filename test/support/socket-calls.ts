// Two socket calls that Node does not offer, on the file descriptors behind its sockets.
import type net from 'node:net';
import koffi from 'koffi';

const libc = koffi.load(null);
const getsockopt = libc.func('int getsockopt(int, int, int, _Out_ int *, _Inout_ uint32_t *)');
const send = libc.func('intptr_t send(int, const void *, size_t, int)');

const SOL_SOCKET = 1;
const SO_ERROR = 4;
const MSG_OOB = 1;

/** The error pending on `socket`, as errno, which this takes off it (socket(7)); 0 when there is none. */
export function socketError(socket: net.Socket): number {
  const fd = fileDescriptor(socket);
  const error = [0];
  if (fd === undefined || getsockopt(fd, SOL_SOCKET, SO_ERROR, error, [4]) !== 0) return 0;
  return error[0]!;
}

/** Sends `byte` as urgent data (tcp(7)); whatever Node has buffered for the socket must have been written before. */
export function sendUrgent(socket: net.Socket, byte: string): void {
  const fd = fileDescriptor(socket);
  if (fd === undefined || send(fd, Buffer.from(byte), 1, MSG_OOB) !== 1) {
    throw new Error('send with MSG_OOB failed');
  }
}

function fileDescriptor(socket: net.Socket): number | undefined {
  return (socket as unknown as { _handle: { fd: number } | null })._handle?.fd;
}
