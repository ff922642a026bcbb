// Socket calls that Node does not offer, for the file descriptors behind its sockets.
import { closeSync } from 'node:fs';
import type net from 'node:net';
import koffi from 'koffi';

const libc = koffi.load(null);
const getsockopt = libc.func('int getsockopt(int, int, int, _Out_ int *, _Inout_ uint32_t *)');
const send = libc.func('intptr_t send(int, const void *, size_t, int)');
const socket = libc.func('int socket(int, int, int)');
const bind = libc.func('int bind(int, const void *, uint32_t)');
const connect = libc.func('int connect(int, const void *, uint32_t)');

const AF_UNIX = 1;
const SOCK_STREAM_CLOEXEC = 0x80001;
const SOL_SOCKET = 1;
const SO_ERROR = 4;
const MSG_OOB = 1;

/** The error pending on `of`, as errno, which this takes off it (socket(7)); 0 when there is none. */
export function socketError(of: net.Socket): number {
  const fd = fileDescriptor(of);
  const error = [0];
  if (fd === undefined || getsockopt(fd, SOL_SOCKET, SO_ERROR, error, [4]) !== 0) return 0;
  return error[0]!;
}

/** Sends `byte` as urgent data (tcp(7)); whatever Node has buffered for the socket must have been written before. */
export function sendUrgent(to: net.Socket, byte: string): void {
  const fd = fileDescriptor(to);
  if (fd === undefined || send(fd, Buffer.from(byte), 1, MSG_OOB) !== 1) {
    throw new Error('send with MSG_OOB failed');
  }
}

/**
 * A unix socket bound or connected to the abstract name `name`, exactly as long as it is: Node 20 pads such names with
 * NULs to the full length, which makes them names that no other program means (unix(7)).
 * @throws Error when the call fails; errno is not told.
 */
export function abstractSocket(call: 'bind' | 'connect', name: string): number {
  const address = Buffer.from(`\0\0\0${name}`);
  address.writeUInt16LE(AF_UNIX);
  const fd = socket(AF_UNIX, SOCK_STREAM_CLOEXEC, 0) as number;
  const result =
    call === 'bind' ? bind(fd, address, address.length) : connect(fd, address, address.length);
  if (result === 0) return fd;
  closeSync(fd);
  throw Object.assign(new Error(`${call} to unix:@${name} failed`), { code: 'ECONNREFUSED' });
}

function fileDescriptor(of: net.Socket): number | undefined {
  return (of as unknown as { _handle: { fd: number } | null })._handle?.fd;
}
