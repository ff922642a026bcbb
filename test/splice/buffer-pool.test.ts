import t from 'tap';
import { BufferPool } from '#src/splice/index.js';

t.test('buffer pool: one buffer serves those who take turns', async (t) => {
  const buffers = new BufferPool(4096);
  const first = buffers.take();
  t.equal(first.byteLength, 4096);
  buffers.give(first);
  t.equal(buffers.take(), first);
});

t.test('buffer pool: two at a time are two', async (t) => {
  const buffers = new BufferPool(4096);
  const [first, second] = [buffers.take(), buffers.take()];
  t.not(first, second);
  t.not(first.address, second.address);
  t.equal(buffers.inUse, 2);
  buffers.give(first);
  t.equal(buffers.inUse, 1);
  t.equal(buffers.take(), first, 'the one given back last');
});

t.test('buffer pool: keeps only so many that nobody needs', async (t) => {
  const buffers = new BufferPool(4096, 2);
  const all = [buffers.take(), buffers.take(), buffers.take()];
  for (const buffer of all) buffers.give(buffer);
  t.equal(buffers.inUse, 0);
  const again = [buffers.take(), buffers.take(), buffers.take()];
  t.same(
    again.map((buffer) => all.indexOf(buffer)),
    [1, 0, -1],
    'the third is new',
  );
});
