import t from 'tap';
import { addressOf, copyBytes, NativeMemory } from '#src/splice/index.js';

t.test('memory: neighbours share their bytes, and each knows its own', async (t) => {
  const blocks = NativeMemory.neighbours([10, 1, 6]);
  t.same(
    blocks.map(({ start, end, byteLength }) => [start, end, byteLength]),
    [
      [0, 10, 10],
      [10, 11, 1],
      [11, 17, 6],
    ],
  );
  for (const block of blocks) {
    t.equal(block.bytes, blocks[0]!.bytes);
    t.equal(block.bytes.length, 17);
    t.equal(block.address, addressOf(block.bytes.subarray(block.start)));
    t.equal(block.at(block.start), block.address);
    t.equal(block.at(block.end), block.address + block.byteLength);
    t.ok(block.bytes.every((byte) => byte === 0));
  }
});

t.test('memory: a block of its own begins at 0', async (t) => {
  const block = new NativeMemory(12);
  t.same([block.start, block.end, block.bytes.length], [0, 12, 12]);
  t.equal(block.at(3), addressOf(block.bytes.subarray(3)));
});

t.test(
  'memory: bytes are copied within a Buffer, where they may overlap, and between two',
  async (t) => {
    const bytes = Buffer.from('0123456789');
    t.equal(copyBytes(bytes, 0, 6, bytes, 2), 6);
    t.equal(bytes.toString(), '0101234589');
    const other = Buffer.alloc(4, '-');
    t.equal(copyBytes(bytes, 2, 5, other, 1), 3);
    t.equal(other.toString(), '-012');
  },
);
