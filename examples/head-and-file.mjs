// Sends a head from memory and a file as one stream: node head-and-file.mjs HOST PORT FILE
// Neither is copied: vmsplice puts the head into a pipe by reference, splice the file behind it.
import { openSync } from 'node:fs';
import * as lib from 'headgate/splice';

const { Epoll, Outcome } = lib;
const [host, port, path] = process.argv.slice(2);
const kernel = lib.createKernel();
const file = openSync(path, 'r');
const { size } = lib.fileStatus(kernel, file);
const target = new lib.Sockaddr({ family: 'inet', host, port: Number(port) });
const socket = lib.orThrow(lib.openConnection(kernel, target), 'connect');
const sink = new lib.PlainTransport(kernel, socket, true);
const pipe = lib.openPipe(kernel, 1 << 20, new lib.NativeMemory(8));
const poll = new lib.EventPoll(kernel, 1);
poll.add(socket, Epoll.EPOLLOUT, 0);

// Nothing writes to the pages of the head again, so the pipe may own them.
const pages = new lib.GiftPages(kernel, 4096);
const head = `file of ${size}\n`;
pages.bytes.write(head);
if (pages.give(pipe, head.length) !== head.length) throw new Error('vmsplice');
for (let offset = 0; offset < size || pipe.bytes > 0; ) {
  if (offset < size) {
    const taken = lib.spliceFromFile(kernel, file, offset, pipe, size - offset);
    if (taken > 0) offset += taken;
    else if (taken !== Outcome.Blocked) throw new Error('the file cannot be read');
  }
  const sent = sink.spliceFrom(pipe, offset < size);
  if (sent === Outcome.Blocked) poll.wait(-1);
  else if (sent <= 0) throw new Error(lib.errnoName(sink.errno));
}
sink.close();
