// Memory for what one turn reads ahead: what is made anew each time costs more than the system call that is saved.
import t from 'tap';
import { EVENTS_MAX } from '#src/proxy/event-loop.js';
import { HttpBuffers } from '#src/proxy/http/http-buffers.js';
import { ThreadKernel } from '#src/proxy/thread-kernel.js';
import { DescriptorLedger, type NativeMemory } from '#src/splice/index.js';

interface Pool {
  take(): NativeMemory;
  give(memory: NativeMemory): void;
}

const { buffers } = new ThreadKernel(DescriptorLedger.createMemory(16));
const http = new HttpBuffers(8192);
const give = (memory: NativeMemory): void => http.give(memory);
const pools: Readonly<Record<string, Pool>> = {
  'bytes of flows': buffers,
  'heads and bodies': { take: () => http.takeBuffer(), give },
  'requests that wait for their answers': { take: () => http.takeBlock(), give },
};

for (const [name, pool] of Object.entries(pools)) {
  t.test(`turn memory: of ${name}, enough is kept for every event of a turn`, async (t) => {
    const turn = (): NativeMemory[] => {
      const taken = Array.from({ length: EVENTS_MAX }, () => pool.take());
      for (const memory of taken) pool.give(memory);
      return taken;
    };
    const first = new Set(turn());
    t.equal(first.size, EVENTS_MAX, 'each has its own');
    t.ok(
      turn().every((memory) => first.has(memory)),
      'and none is made anew',
    );
  });
}
