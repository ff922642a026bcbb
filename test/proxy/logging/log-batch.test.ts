import { MessageChannel, type MessagePort, receiveMessageOnPort } from 'node:worker_threads';
import t from 'tap';
import { EventLoop } from '#src/proxy/event-loop.js';
import { COUNTER_REGION_BYTES, Counter, Counters, type FromWorker } from '#src/proxy/index.js';
import { LogBatch } from '#src/proxy/logging/index.js';
import { createKernel } from '#src/splice/index.js';

/** Bytes the control thread may be behind; see log-batch.ts. */
const BACKLOG_BYTES_MAX = 8 * 1024 * 1024;

class Rig {
  nowMs = 0;
  readonly counters = new Counters(new SharedArrayBuffer(COUNTER_REGION_BYTES));
  readonly backlog = new Int32Array(new SharedArrayBuffer(4));
  readonly loop = new EventLoop(createKernel(), this.counters, () => {}, {
    clock: () => this.nowMs,
  });
  readonly batch: LogBatch;
  private readonly port: MessagePort;

  constructor() {
    const { port1, port2 } = new MessageChannel();
    this.port = port2;
    this.batch = new LogBatch(port1, this.backlog.buffer, this.counters, this.loop);
  }

  received(): string[] {
    const messages: string[] = [];
    for (;;) {
      const one = receiveMessageOnPort(this.port) as { message: FromWorker } | undefined;
      if (one === undefined) return messages;
      if (one.message.type !== 'log') continue;
      messages.push(Buffer.from(one.message.lines).toString());
    }
  }

  pass(ms: number): void {
    this.nowMs += ms;
    this.loop.nowMs = this.nowMs;
    this.loop.wheel.advance(this.nowMs);
  }

  get dropped(): number {
    return this.counters.values[Counter.log_lines_dropped]!;
  }

  close(): void {
    this.loop.close();
    this.port.close();
  }
}

t.test('log batch: lines wait for one another, but not for long', async (t) => {
  const rig = new Rig();
  rig.batch.write('one\n');
  rig.batch.write('twö\n');
  t.same(rig.received(), []);
  rig.pass(100);
  t.same(rig.received(), ['one\ntwö\n']);
  t.equal(rig.backlog[0], 9, 'in bytes, not characters');
  t.equal(rig.loop.wheel.size, 0, 'and no timer is left');
  rig.pass(1000);
  t.same(rig.received(), []);
  rig.close();
});

t.test('log batch: a batch that is large enough does not wait', async (t) => {
  const rig = new Rig();
  const line = `${'x'.repeat(1023)}\n`;
  for (let count = 0; count < 32; count++) rig.batch.write(line);
  const [message, ...others] = rig.received();
  t.same([message?.length, others.length], [32 * 1024, 0]);
  t.equal(rig.loop.wheel.size, 0);
  rig.close();
});

t.test('log batch: flushing nothing sends nothing', async (t) => {
  const rig = new Rig();
  rig.batch.flush();
  t.same(rig.received(), []);
  rig.close();
});

t.test('log batch: a reader too far behind costs lines, never memory', async (t) => {
  const rig = new Rig();
  const line = `${'x'.repeat(1023)}\n`;
  for (let count = 0; count < 20_000; count++) rig.batch.write(line);
  rig.batch.flush();
  const taken = rig.received().reduce((bytes, lines) => bytes + lines.length, 0);
  t.ok(taken <= BACKLOG_BYTES_MAX + 64 * 1024, `${taken} bytes are on their way`);
  t.equal(rig.backlog[0], taken);
  t.equal(rig.dropped, 20_000 - taken / 1024, 'what is missing was counted');
  Atomics.sub(rig.backlog, 0, taken);
  rig.batch.write('again\n');
  rig.batch.flush();
  t.same(rig.received(), ['again\n'], 'and it recovers');
  rig.close();
});

t.test('log batch: a port that is gone does not pile lines up', async (t) => {
  const rig = new Rig();
  rig.batch.write('one\n');
  rig.batch.onException();
  rig.batch.write('two\n');
  rig.batch.flush();
  t.same(rig.received(), ['two\n']);
  rig.close();
});
