// Hundreds of conversations at once through a worker of production: where the kernel has io_uring, their calls are
// made together. Every byte is compared, at both ends.
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import t, { type Test } from 'tap';
import { closeReasons } from '#src/proxy/index.js';
import { PumpSlot } from '#src/splice/index.js';
import { until, within } from '#test/support/deadline.js';
import { missingIoUring } from '#test/support/machine/capability.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { ringMappings } from '#test/support/machine/proc.js';
import { payload, Random } from '#test/support/random.js';
import { DataWorker } from '#test/support/worker/data-worker.js';

const CONVERSATIONS = 200;
const HEADER_BYTES = 4;
const seed = Random.seed();
const sea = payload(seed, 8 * 1024 * 1024);

/** How a conversation goes. In the first four everything is said, heard and ended in order. */
const manners = [
  /** A question, its answer, the next question. */
  'polite',
  /** The same, but the client takes its time in reading. */
  'slow',
  /** All questions and the end; then all answers. */
  'letter',
  /** The origin says all and ends; then come the questions. */
  'lecture',
  /** In the middle of it the client resets the connection, or closes it, or the origin resets it. */
  'reset',
  'vanish',
  'refused',
] as const;
type Manner = (typeof manners)[number];
const orderly: readonly Manner[] = ['polite', 'slow', 'letter', 'lecture'];

/** What is said in one conversation; both ends know it by its number. */
class Script {
  readonly manner: Manner;
  readonly questions: Buffer[];
  readonly answers: Buffer[];
  /** Of the questions: then one of the two breaks off. */
  readonly breaksAt: number;
  readonly random: Random;

  constructor(
    readonly number: number,
    isOrderly: boolean,
  ) {
    this.random = new Random(seed + number);
    const { random } = this;
    this.manner = random.pick(isOrderly ? orderly : manners);
    const rounds = random.between(1, 12);
    const words = (): Buffer => {
      const length = random.between(1, random.pick([10, 300, 3000, 40_000]));
      const at = random.between(0, sea.length - length);
      return sea.subarray(at, at + length);
    };
    this.questions = Array.from({ length: rounds }, words);
    this.answers = Array.from({ length: rounds }, words);
    this.breaksAt = random.between(0, rounds - 1);
  }
}

/** One end of a conversation: compares what it hears with what it should. */
class Listener {
  heardBytes = 0;
  isRight = true;
  isEnded = false;
  hasError = false;
  private readonly expected: Buffer;
  /** Where each piece ends. */
  private readonly marks: number[] = [];

  constructor(pieces: readonly Buffer[]) {
    this.expected = Buffer.concat(pieces);
    let mark = 0;
    for (const { length } of pieces) {
      mark += length;
      this.marks.push(mark);
    }
  }

  /** @returns how many pieces are complete by now */
  hear(chunk: Buffer): number {
    const { heardBytes, expected, marks } = this;
    this.heardBytes += chunk.length;
    if (!expected.subarray(heardBytes, this.heardBytes).equals(chunk)) this.isRight = false;
    return marks.filter((mark) => mark <= this.heardBytes).length;
  }

  /** For whoever reads of a failure. */
  get told(): string {
    const { heardBytes, expected, isRight, isEnded, hasError } = this;
    return JSON.stringify({ heardBytes, of: expected.length, isRight, isEnded, hasError });
  }

  get isWhole(): boolean {
    return this.isRight && this.heardBytes === this.expected.length;
  }
}

/** Both ends of every conversation so far, by number. */
class Hall {
  readonly scripts = new Map<number, Script>();
  readonly atOrigin = new Map<number, Listener>();
  /** Bytes that arrived at the origin, and at the clients. */
  up = 0;
  down = 0;
  open = 0;
  readonly server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) =>
    this.serve(socket),
  );

  private serve(socket: Socket): void {
    this.open++;
    let head = Buffer.alloc(0);
    let script: Script | undefined;
    let listener: Listener | undefined;
    let answered = 0;
    socket.on('data', (chunk: Buffer) => {
      this.up += chunk.length;
      if (script === undefined || listener === undefined) {
        head = Buffer.concat([head, chunk]);
        if (head.length < HEADER_BYTES) return;
        chunk = head.subarray(HEADER_BYTES);
        script = this.scripts.get(head.readUInt32BE())!;
        listener = new Listener(script.questions);
        this.atOrigin.set(script.number, listener);
        if (script.manner === 'lecture') socket.end(Buffer.concat(script.answers));
      }
      const asked = listener.hear(chunk);
      const { manner, answers, breaksAt } = script;
      if (manner === 'refused' && asked > breaksAt) socket.resetAndDestroy();
      else if (manner !== 'letter' && manner !== 'lecture') {
        while (answered < asked) socket.write(answers[answered++]!);
      }
    });
    socket.on('end', () => {
      if (listener !== undefined) listener.isEnded = true;
      if (script?.manner === 'letter') socket.write(Buffer.concat(script.answers));
      socket.end();
    });
    socket.on('error', () => {
      if (listener !== undefined) listener.hasError = true;
    });
    socket.on('close', () => this.open--);
  }

  /** The client's side of a conversation. */
  async talk(script: Script, port: number): Promise<Listener> {
    const { number, manner, questions, breaksAt, random } = script;
    this.scripts.set(number, script);
    const listener = new Listener(script.answers);
    const socket = connect({ port, host: '127.0.0.1', allowHalfOpen: true, noDelay: true });
    const header = Buffer.alloc(HEADER_BYTES);
    header.writeUInt32BE(number);
    socket.write(header);
    let said = 0;
    const ask = (): void => {
      if (said === questions.length) {
        socket.end();
        return;
      }
      socket.write(questions[said++]!);
      if (said <= breaksAt) return;
      if (manner === 'reset') socket.resetAndDestroy();
      if (manner === 'vanish') socket.destroy();
    };
    if (manner === 'letter') while (!socket.writableEnded) ask();
    else if (manner !== 'lecture') ask();
    socket.on('data', (chunk: Buffer) => {
      this.down += chunk.length;
      const answers = listener.hear(chunk);
      if (manner !== 'letter' && manner !== 'lecture' && answers === said) ask();
      if (manner !== 'slow' || !random.oneIn(3)) return;
      socket.pause();
      setTimeout(() => socket.resume(), random.between(1, 30));
    });
    socket.on('end', () => {
      listener.isEnded = true;
      if (manner === 'lecture') while (!socket.writableEnded) ask();
    });
    socket.on('error', () => {
      listener.hasError = true;
    });
    await new Promise((resolve) => socket.on('close', resolve));
    return listener;
  }

  async converse(t: Test, first: number, isOrderly: boolean, worker: DataWorker): Promise<void> {
    const scripts = Array.from(
      { length: CONVERSATIONS },
      (_, index) => new Script(first + index, isOrderly),
    );
    const clients = await within(
      15_000,
      'every conversation ends',
      Promise.all(scripts.map((script) => this.talk(script, worker.tcpPort))),
    );
    await until(5000, 'nothing is left', () => {
      const { open } = this;
      return open === 0 && worker.count('flows_active') === 0;
    });
    const wrong = scripts.flatMap((script, index) => {
      const client = clients[index]!;
      const origin = this.atOrigin.get(script.number);
      const name = `${script.number} ${script.manner}`;
      if (!orderly.includes(script.manner)) {
        return client.isRight && origin?.isRight !== false ? [] : [`${name}: wrong bytes`];
      }
      return [client, origin].flatMap((end, side) => {
        const isWell = end?.isWhole && end.isEnded && !end.hasError;
        return isWell ? [] : [`${name}: ${['client', 'origin'][side]} ${end?.told}`];
      });
    });
    t.same(wrong.slice(0, 5), [], `${wrong.length} of ${CONVERSATIONS} are wrong`);
  }
}

/** Bytes that a direction has moved, however. */
function moved(meter: Float64Array): number {
  return meter[PumpSlot.CopyBytes]! + meter[PumpSlot.SpliceBytes]!;
}

const name = `many flows: ${CONVERSATIONS} conversations at once, whole and broken (SEED=${seed})`;
t.test(name, { timeout: 60_000 }, async (t) => {
  const hall = new Hall();
  await new Promise<void>((resolve) => hall.server.listen(0, '127.0.0.1', 1024, resolve));
  const { port } = hall.server.address() as AddressInfo;
  const rings = ringMappings();
  const worker = new DataWorker({
    endpoints: [{ family: 'inet', host: '127.0.0.1', port }],
    // Clients and origin are one thread, which may be busy with something else.
    timeouts: { connectMs: 10_000 },
  });
  await worker.ready;
  const quiet = descriptors();
  await hall.converse(t, 1, true, worker);
  const { up, down } = worker.counters;
  t.same([moved(up), moved(down)], [hall.up, hall.down], 'every byte was counted, and once');
  const ends = closeReasons.map((reason) => [reason, worker.closed(reason)]);
  t.same(Object.fromEntries(ends.filter(([, count]) => count !== 0)), { done: CONVERSATIONS });
  await hall.converse(t, 10_001, false, worker);
  t.same(
    [worker.count('exceptions'), worker.count('buffers_in_use'), worker.count('pipes_in_use')],
    [0, 0, 0],
  );
  const [batches, calls] = [worker.count('batches'), worker.count('batched_calls')];
  if (missingIoUring() === undefined) t.ok(batches > 0, `${calls} calls in ${batches} batches`);
  await until(3000, 'descriptors are given back', () => {
    const { socket, pipe = 0 } = descriptors();
    return socket === quiet.socket && pipe === (quiet.pipe ?? 0) + 2 * worker.count('pipes_pooled');
  });
  t.equal(await worker.stop(), 0);
  t.equal(ringMappings(), rings, 'nor is a ring left');
  hall.server.close();
});
