// A hundred clients at once through a worker of production: where the kernel has io_uring, heads and short bodies are
// read and written together. Every byte is compared, at both ends.
import { Agent, createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import t, { type Test } from 'tap';
import { until, within } from '#test/support/deadline.js';
import { FaultPlan } from '#test/support/faults/fault-plan.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import { missingIoUring } from '#test/support/machine/capability.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { payload, Random } from '#test/support/random.js';
import { DataWorker, type DataWorkerOptions } from '#test/support/worker/data-worker.js';

const CLIENTS = 100;
/** Where many of them wait for a timeout. */
const FEWER_CLIENTS = 60;
const REQUESTS = 12;
const seed = Random.seed();
const sea = payload(seed, 4 * 1024 * 1024);

/** What becomes of a request. */
type Fate = 'whole' | 'vanishes' | 'is cut';

/** One request and its response; both ends know it by its number. */
class Script {
  readonly fate: Fate;
  readonly asked: Buffer;
  readonly answer: Buffer;
  readonly isAskedChunked: boolean;
  readonly isAnswerChunked: boolean;

  constructor(readonly number: number) {
    const random = new Random(seed + number);
    const fate = random.pick<Fate>([...Array<Fate>(14).fill('whole'), 'vanishes', 'is cut']);
    const piece = (): Buffer => {
      const length = random.between(0, random.pick([0, 50, 3000, 40_000]));
      const at = random.between(0, sea.length - length);
      return sea.subarray(at, at + length);
    };
    this.asked = piece();
    this.answer = piece();
    // What is whole with its head cannot be cut, and its connection might carry the next request by then.
    this.fate = fate === 'is cut' && this.answer.length < 2 ? 'whole' : fate;
    this.isAskedChunked = random.oneIn(3);
    this.isAnswerChunked = random.oneIn(3);
  }
}

async function bodyOf(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

/** The origin: says in its status whether the request came as it was sent. */
async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const script = new Script(Number(request.url!.slice(1)));
  const asked = await bodyOf(request).catch(() => undefined);
  if (asked === undefined) return;
  response.statusCode = asked.equals(script.asked) ? 200 : 500;
  if (!script.isAnswerChunked) response.setHeader('content-length', script.answer.length);
  if (script.fate === 'is cut') {
    response.write(script.answer.subarray(0, script.answer.length >> 1));
    setTimeout(() => response.destroy(), 2);
  } else response.end(script.answer);
}

/** @returns what is wrong with an exchange */
function ask(script: Script, port: number, agent: Agent): Promise<string[]> {
  return new Promise((resolve) => {
    const { number, asked, isAskedChunked, fate } = script;
    const headers = isAskedChunked ? {} : { 'content-length': asked.length };
    const path = `/${number}`;
    const outgoing = request({ port, host: '127.0.0.1', method: 'POST', path, headers, agent });
    const done = (...wrong: string[]): void => resolve(wrong.map((what) => `${number}: ${what}`));
    outgoing.on('error', (error) => (fate === 'whole' ? done(String(error)) : done()));
    outgoing.on('response', async (response) => {
      const body = await bodyOf(response).catch(() => undefined);
      const isRight = body?.equals(script.answer) ?? false;
      const isPrefix = body === undefined || script.answer.subarray(0, body.length).equals(body);
      if (fate === 'whole') {
        if (!isPrefix && response.statusCode === 200) done('wrong bytes');
        else if (body === undefined) done('broke off');
        else done(...(response.statusCode === 200 && isRight ? [] : [`${response.statusCode}`]));
      } else if (fate === 'is cut' && response.statusCode === 200) {
        done(...(isPrefix ? [] : ['wrong bytes']));
      } else done();
    });
    if (fate !== 'vanishes') outgoing.end(asked);
    else {
      outgoing.write(asked.subarray(0, asked.length >> 1));
      setTimeout(() => outgoing.destroy(), 2);
      outgoing.on('close', () => done());
    }
  });
}

/** Everything that clients ask of an origin through a worker. @returns what is wrong */
async function askAll(worker: DataWorker, clients: number): Promise<string[]> {
  const all = Array.from({ length: clients }, async (_, client) => {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const wrong: string[] = [];
    for (let round = 0; round < REQUESTS; round++) {
      wrong.push(...(await ask(new Script(client * REQUESTS + round), worker.tcpPort, agent)));
    }
    agent.destroy();
    return wrong;
  });
  return (await within(30_000, 'every request is over', Promise.all(all))).flat();
}

/** A worker with an origin behind it, and the questions asked of both in the end. */
async function through(
  t: Test,
  options: Partial<DataWorkerOptions>,
  run: (worker: DataWorker) => Promise<void>,
): Promise<void> {
  const origin = createServer((request, response) => void answer(request, response));
  origin.keepAliveTimeout = 30_000;
  await new Promise<void>((resolve) => origin.listen(0, '127.0.0.1', 1024, resolve));
  const { port } = origin.address() as AddressInfo;
  const before = descriptors();
  const endpoints = [{ family: 'inet', host: '127.0.0.1', port }] as const;
  const worker = new DataWorker({ endpoints, http: plainHttp, ...options });
  await worker.ready;
  await run(worker);
  await until(10_000, 'nothing is left', () => worker.count('flows_active') === 0);
  t.same([worker.count('exceptions'), worker.count('buffers_in_use')], [0, 0]);
  t.equal(await worker.stop(), 0);
  origin.closeAllConnections();
  await until(3000, 'descriptors are given back', () => descriptors().socket === before.socket);
  origin.close();
}

const timeout = { timeout: 60_000 };

t.test(
  `many requests: ${CLIENTS} clients at once, whole and broken (SEED=${seed})`,
  timeout,
  async (t) => {
    // Clients and origin are one thread, which may be busy with something else.
    await through(t, { timeouts: { connectMs: 10_000 } }, async (worker) => {
      const wrong = await askAll(worker, CLIENTS);
      t.same(wrong.slice(0, 5), [], `${wrong.length} are wrong`);
      const [batches, calls] = [worker.count('batches'), worker.count('batched_calls')];
      if (missingIoUring() === undefined) {
        t.ok(batches > 0, `${calls} calls in ${batches} batches`);
      }
    });
  },
);

t.test(`many requests: while calls go wrong at random (SEED=${seed})`, timeout, async (t) => {
  const plan = new FaultPlan();
  const timeouts = { connectMs: 1000, headMs: 1000, keepAliveMs: 2000, idleMs: 2500 };
  await through(t, { plan, sharesCalls: true, timeouts }, async (worker) => {
    plan.napMs = 1;
    plan.scatter(seed, 12);
    const wrong = await askAll(worker, FEWER_CLIENTS);
    const { injected } = plan;
    plan.follow([]);
    // A failure is told as one; bytes are never wrong, and no request was heard as another than it was.
    const lies = wrong.filter((what) => /wrong|: (200|400|500)$/.test(what));
    t.same(lies.slice(0, 5), [], `${lies.length} lies among ${wrong.length} failures`);
    t.ok(injected > 50, `${injected} faults`);
    const most = (FEWER_CLIENTS * REQUESTS) / 2;
    t.ok(wrong.length > 0 && wrong.length < most, `${wrong.length} failures`);
    const [batches, calls] = [worker.count('batches'), worker.count('batched_calls')];
    t.ok(calls > 2 * batches, `${calls} calls in ${batches} batches`);
  });
});
