// A static file server, files sent by the kernel: node static-server.mjs PORT DIRECTORY
import { closeSync, openSync } from 'node:fs';
import * as lib from 'headgate/splice';

const { Epoll, File, Outcome, Socket } = lib;
const [port, directory] = process.argv.slice(2);
const TURN_BYTES = 512 * 1024; // one download does not starve the rest
const kernel = lib.createKernel();
const root = openSync(directory, File.O_PATH);
const address = new lib.Sockaddr({ family: 'inet', host: '127.0.0.1', port: Number(port) });
const listenOptions = { backlog: 128, reusePort: false, ipv6Only: true };
const listener = lib.openListener(kernel, address, listenOptions);
const poll = new lib.EventPoll(kernel, 256);
poll.add(listener, Epoll.EPOLLIN, 0);
console.log(`listening on ${lib.localAddress(kernel, listener).port}`);
const memory = new lib.NativeMemory(16_384);
const downloads = new Map(); // by descriptor of the connection

for (;;) {
  const count = poll.wait(-1);
  for (let index = 0; index < count; index++) {
    const fd = poll.fdAt(index);
    if (fd === listener) accept();
    else if (downloads.has(fd)) proceed(fd, downloads.get(fd));
  }
}

function accept() {
  const fd = kernel.accept4(listener, 0, 0, Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC);
  if (fd < 0) return;
  downloads.set(fd, { head: '', file: -1, sender: new lib.FileSender(kernel) });
  poll.add(fd, Epoll.EPOLLIN, 0);
}

function proceed(fd, download) {
  if (download.file < 0) return readRequest(fd, download);
  const sent = download.sender.send(fd, download.file, TURN_BYTES);
  if (sent > 0 ? download.sender.remainingBytes === 0 : sent !== Outcome.Blocked) end(fd);
}

function readRequest(fd, download) {
  const read = kernel.recv(fd, memory.address, memory.byteLength, 0);
  if (read === -lib.Errno.EAGAIN) return;
  if (read > 0) download.head += memory.bytes.toString('latin1', 0, read);
  if (read <= 0 || download.head.length > memory.byteLength) return end(fd);
  if (!download.head.includes('\r\n\r\n')) return;
  const path = /^GET \/([^ ?]*)/.exec(download.head)?.[1];
  // The kernel resolves the name inside the directory: nothing leads out.
  const file = path === undefined ? -1 : lib.openBeneath(kernel, root, path, File.O_RDONLY);
  const status = file < 0 ? file : lib.fileStatus(kernel, file);
  if (file >= 0) download.file = file;
  if (typeof status === 'number' || !status.isRegular) {
    say(fd, 'HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n', 0);
    return end(fd);
  }
  download.sender.begin(0, status.size);
  const head = `HTTP/1.1 200 OK\r\nContent-Length: ${status.size}\r\nConnection: close\r\n\r\n`;
  // "More follows": the head leaves with the file's first bytes.
  say(fd, head, status.size > 0 ? Socket.MSG_MORE : 0);
  poll.modify(fd, Epoll.EPOLLOUT, 0);
}

function say(fd, text, flags) {
  const length = memory.bytes.write(text, 'latin1');
  kernel.send(fd, memory.address, length, Socket.MSG_NOSIGNAL | flags);
}

function end(fd) {
  const { file } = downloads.get(fd);
  if (file >= 0) closeSync(file);
  downloads.delete(fd);
  kernel.close(fd);
}
