// Deterministic byte streams of any length that cost little more than a copy, and that no two of confuse.
//
// A stream is a 1 MiB block of xorshift noise, repeated, with a stamp (seed, chunk number) at the head of every
// 4 KiB. The noise shows bytes lost, doubled or swapped inside a block; the stamps show whole blocks lost, and
// bytes of another stream. Receivers compare every byte with the generator, which is both stronger and
// faster than a hash, and can say which byte was the first wrong one.

const blockBytes = 1 << 20;
const chunkBytes = 4096;
const block = noise(blockBytes);

function noise(length: number): Buffer {
  const words = new Uint32Array(length / 4);
  let state = 0x9e3779b9;
  for (let index = 0; index < words.length; index++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[index] = state;
  }
  return Buffer.from(words.buffer);
}

export class ByteStream {
  readonly seed: number;
  /** Streams begin at different chunks of the block, so that short ones differ, too. */
  readonly #startBytes: number;

  constructor(seed: number) {
    this.seed = seed;
    this.#startBytes = ((seed * 37) % (blockBytes / chunkBytes)) * chunkBytes;
  }

  /** A new buffer with bytes [position, position + length) of the stream. */
  slice(position: number, length: number): Buffer {
    const target = Buffer.allocUnsafe(length);
    this.fill(target, position);
    return target;
  }

  /** Fills `target` with the bytes of the stream from `position` on. */
  fill(target: Buffer, position: number): void {
    for (let done = 0; done < target.length; ) {
      const from = (this.#startBytes + position + done) % blockBytes;
      done += block.copy(target, done, from, Math.min(blockBytes, from + target.length - done));
    }
    const firstChunk = Math.floor(position / chunkBytes);
    const endPosition = position + target.length;
    for (let chunk = firstChunk; chunk * chunkBytes < endPosition; chunk++) {
      this.#stamp(target, chunk, chunk * chunkBytes - position);
    }
  }

  /** Writes the stamp of `chunk` at `at`, which may lie partly outside the target. */
  #stamp(target: Buffer, chunk: number, at: number): void {
    if (at >= 0 && at + 8 <= target.length) {
      target.writeUInt32LE(this.seed >>> 0, at);
      target.writeUInt32LE(chunk, at + 4);
      return;
    }
    const stamp = Buffer.alloc(8);
    stamp.writeUInt32LE(this.seed >>> 0, 0);
    stamp.writeUInt32LE(chunk, 4);
    for (let index = 0; index < 8; index++) {
      if (at + index >= 0 && at + index < target.length) target[at + index] = stamp[index]!;
    }
  }

  /**
   * Asserts that `received` are the bytes of the stream at `position`.
   * @throws Error naming the first wrong position and, when it can be found, where its bytes belong.
   */
  verify(received: Buffer, position: number): void {
    if (scratch.length < received.length) scratch = Buffer.allocUnsafe(received.length);
    const expected = scratch.subarray(0, received.length);
    this.fill(expected, position);
    if (expected.equals(received)) return;
    let index = 0;
    while (expected[index] === received[index]) index++;
    // A wrong byte in the middle of a stamp is traced from the stamp's beginning.
    const before = Math.min(index, 8);
    const found =
      trace(received.subarray(index), 0) ?? trace(received.subarray(index - before), before);
    const got = found ?? received.subarray(index, index + 32).toString('hex');
    throw new Error(`stream ${this.seed}: byte ${position + index} is wrong; got ${got}`);
  }
}

let scratch = Buffer.allocUnsafe(1 << 16);

/** Where the byte at `skip` really comes from, read off the next stamp: the noise around it tells how far that is. */
function trace(received: Buffer, skip: number): string | undefined {
  if (received.length < 16) return undefined;
  const noiseAt = block.indexOf(received.subarray(0, 16));
  const chunkOffset = noiseAt % chunkBytes;
  // Within a chunk, the stamp is the next chunk's; otherwise one begins in these very bytes.
  const stampAt = noiseAt >= 0 ? chunkBytes - chunkOffset : nearStamp(received);
  if (stampAt === undefined || stampAt + 8 > received.length) return undefined;
  const position = received.readUInt32LE(stampAt + 4) * chunkBytes - stampAt + skip;
  return `stream ${received.readUInt32LE(stampAt)} at byte ${position}`;
}

/** Where among the first bytes a stamp begins: in front of noise from offset 8 of a chunk. */
function nearStamp(received: Buffer): number | undefined {
  for (let at = 0; at <= 16 && at + 24 <= received.length; at++) {
    const noiseAt = block.indexOf(received.subarray(at + 8, at + 24));
    if (noiseAt >= 0 && noiseAt % chunkBytes === 8) return at;
  }
  return undefined;
}
