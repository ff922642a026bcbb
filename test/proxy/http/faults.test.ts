import { Agent, createServer, request as makeRequest } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t, { type Test } from 'tap';
import {
  type Fault,
  FaultPlan,
  possibleFaults,
  type Rule,
} from '#test/support/faults/fault-plan.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { Random } from '#test/support/random.js';
import { DataWorker } from '#test/support/worker/data-worker.js';

const ANSWER_MS = 6000;
const SETTLE_MS = 4000;

/** Faults that no request may even notice. */
const unnoticed: readonly Fault[] = ['EAGAIN', 'EINTR', 'short'];

const body = Buffer.alloc(300_000);
for (let index = 0; index < body.length; index++) body[index] = (index * 31) >> 3;

/** Of each length, what is asked with, and answered. What is short may wait for what others write in the same turn. */
const bodies = { long: body, short: body.subarray(0, 700) };
type Length = keyof typeof bodies;

/** What the client of one request saw: a whole right answer, an honest refusal, or a broken connection. */
type Outcome = 'whole' | 'refused' | 'broken' | 'wrong' | 'hung';

/** Echoes what it gets, chunked or not as the request says, and answers to GET with the same bytes. */
function serve() {
  const server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
    const parts: Buffer[] = [];
    request.on('data', (part: Buffer) => parts.push(part));
    request.on('error', () => {});
    request.on('end', () => {
      const [, framing, length] = request.url!.split('/');
      const answer = request.method === 'PUT' ? Buffer.concat(parts) : bodies[length as Length];
      if (framing === 'length') response.setHeader('content-length', answer.length);
      if (length === 'long') response.write(answer.subarray(0, 1000));
      response.end(answer.subarray(length === 'long' ? 1000 : 0));
    });
  });
  return new Promise<typeof server>((resolve) => {
    server.listen(0, '127.0.0.1', () => resolve(server));
  });
}

class Bench {
  readonly plan = new FaultPlan();
  readonly agent = new Agent({ keepAlive: true, maxSockets: 4 });
  worker!: DataWorker;
  private server!: Awaited<ReturnType<typeof serve>>;
  private quiet!: ReturnType<typeof descriptors>;

  /** @param sharesCalls reads and writes of a turn are made together */
  static async start(sharesCalls = false): Promise<Bench> {
    const bench = new Bench();
    bench.server = await serve();
    const { port } = bench.server.address() as AddressInfo;
    bench.worker = new DataWorker({
      endpoints: [{ family: 'inet', host: '127.0.0.1', port }],
      timeouts: { connectMs: 1000, headMs: 2000, idleMs: 2500, keepAliveMs: 60_000 },
      http: plainHttp,
      plan: bench.plan,
      sharesCalls,
    });
    await bench.worker.ready;
    bench.quiet = descriptors();
    return bench;
  }

  /** Makes a request with keep-alive. */
  ask(
    method: 'GET' | 'PUT',
    framing: 'length' | 'chunked',
    length: Length = 'long',
  ): Promise<Outcome> {
    const body = bodies[length];
    const { address } = this.worker;
    const port = (address as { port: number }).port;
    return new Promise((resolve) => {
      const path = `/${framing}/${length}`;
      const options = { host: '127.0.0.1', port, method, path, agent: this.agent };
      const timer = setTimeout(() => {
        resolve('hung');
        request.destroy();
      }, ANSWER_MS);
      const settle = (outcome: Outcome) => {
        clearTimeout(timer);
        resolve(outcome);
      };
      const request = makeRequest(options, (response) => {
        const parts: Buffer[] = [];
        response.on('data', (part: Buffer) => parts.push(part));
        response.on('error', () => settle('broken'));
        response.on('end', () => {
          if (response.statusCode !== 200) settle('refused');
          else if (!response.complete) settle('broken');
          else settle(Buffer.concat(parts).equals(body) ? 'whole' : 'wrong');
        });
      });
      request.on('error', () => settle('broken'));
      if (method === 'GET') {
        request.end();
        return;
      }
      if (framing === 'length') request.setHeader('content-length', body.length);
      if (length === 'long') request.write(body.subarray(0, 70_000));
      request.end(body.subarray(length === 'long' ? 70_000 : 0));
    });
  }

  /** What is left once all clients have gone. */
  async settle(): Promise<string[]> {
    this.agent.destroy();
    this.server.closeIdleConnections();
    const deadline = Date.now() + SETTLE_MS;
    for (;;) {
      const left = (['flows_active', 'pipes_in_use', 'buffers_in_use'] as const).flatMap((name) => {
        const count = this.worker.count(name);
        return count === 0 ? [] : [`${name} ${count}`];
      });
      const sockets = (descriptors().socket ?? 0) - (this.quiet.socket ?? 0);
      if (sockets > 0) left.push(`${sockets} sockets`);
      if (left.length === 0 || Date.now() > deadline) return left;
      await sleep(2);
      // Gauges are written at the end of a turn.
      this.worker.ring();
    }
  }

  /** Everything has to be connected anew. */
  async begin(): Promise<void> {
    this.agent.destroy();
    this.server.closeAllConnections();
    await sleep(5);
  }

  async close(): Promise<void> {
    this.plan.follow([]);
    this.agent.destroy();
    const how = await this.worker.stop();
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    if (how !== 0) throw new Error(`the worker ended with ${how}`);
  }
}

async function round(bench: Bench): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const framing of ['length', 'chunked'] as const) {
    for (const method of ['PUT', 'GET'] as const) {
      for (const length of ['short', 'long'] as const) {
        outcomes.push(await bench.ask(method, framing, length));
      }
    }
  }
  return outcomes;
}

async function runCase(t: Test, bench: Bench, rule: Rule): Promise<number> {
  await bench.begin();
  bench.plan.follow([rule]);
  const outcomes = await round(bench);
  const { injected } = bench.plan;
  bench.plan.follow([]);
  const left = await bench.settle();
  const after = await bench.ask('GET', 'length');
  const mustBeWhole = unnoticed.includes(rule.fault);
  const isWrong = outcomes.some(
    (one) => one === 'wrong' || one === 'hung' || (mustBeWhole && one !== 'whole'),
  );
  if (isWrong || left.length > 0 || after !== 'whole') {
    t.fail(`${rule.call} ${rule.fault} ${JSON.stringify(rule)}`, { outcomes, left, after });
  }
  return injected;
}

const calls = ['recv', 'send', 'splice', 'connect', 'socket', 'epoll_ctl', 'accept4'];
/** Those of heads and short bodies, which are made together with others'. */
const sharedCalls = ['recv', 'send'];
const ways = [
  ...calls.map((call) => [call, false] as const),
  ...sharedCalls.map((call) => [call, true] as const),
];

for (const [name, sharesCalls] of ways) {
  for (const [call, side, faults] of possibleFaults) {
    if (call !== name) continue;
    const which = `${call}${sharesCalls ? ' of many' : ''} ${side}`;
    t.test(`HTTP faults: ${which} may answer ${faults.join(', ')}`, async (t) => {
      const bench = await Bench.start(sharesCalls);
      for (const fault of faults) {
        let injected = 0;
        for (const moment of [{ nth: 1 }, { nth: 2 }, { nth: 4 }, { nth: 9 }, { every: 5 }]) {
          const isRare = ['connect', 'socket', 'accept4'].includes(call);
          if (isRare && (moment.nth ?? 9) > 2) continue;
          injected += await runCase(t, bench, { call, side, fault, ...moment });
        }
        t.ok(injected > 0, `${fault}: ${injected} injected`);
      }
      t.equal(bench.worker.count('exceptions'), 0, 'no exception');
      t.equal(bench.worker.count('batches') > 0, sharesCalls);
      await bench.close();
    });
  }
}

const seed = Random.seed();
for (const sharesCalls of [false, true]) {
  const how = sharesCalls ? 'many calls together' : 'each call by itself';
  t.test(`HTTP faults: random schedules, ${how} (SEED=${seed})`, async (t) => {
    const bench = await Bench.start(sharesCalls);
    for (let number = 0; number < 12; number++) {
      const random = new Random(seed + number);
      bench.plan.scatter(seed + number, random.pick([15, 50, 200]));
      const outcomes = (await Promise.all([round(bench), round(bench), round(bench)])).flat();
      bench.plan.follow([]);
      const left = await bench.settle();
      const after = await bench.ask('PUT', 'chunked');
      const isWrong = outcomes.some((one) => one === 'wrong' || one === 'hung');
      if (isWrong || left.length > 0 || after !== 'whole') {
        t.fail(`SEED=${seed + number}`, { outcomes, left, after });
      }
    }
    t.equal(bench.worker.count('exceptions'), 0, 'no exception');
    await bench.close();
  });
}
