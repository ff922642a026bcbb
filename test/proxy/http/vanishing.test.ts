// Clients and endpoints that go away at every phase of every golden conversation: nothing is left behind, and nobody
// takes a part for the whole.
import t, { type Test } from 'tap';
import {
  ChunkScanner,
  Framing,
  type Method,
  methodNames,
  ResponseHead,
} from '#src/proxy/http/index.js';
import { Random } from '#test/support/random.js';
import { SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { clientContext, serverContexts } from '#test/support/tls/tls-pair.js';
import { nothingLeft } from '#test/support/worker/worker-room.js';
import { readRequests } from './message/messages.js';
import { type Moment, Talk, type TalkOptions } from './talk.js';
import { conversationFiles, readConversations, type Step } from './wire-case.js';

const SEED = Random.seed();
const hows = ['ends', 'closes', 'resets'] as const;
type How = (typeof hows)[number];
type Side = Step['side'];

/** Longer than every timeout of the room, one after the other. */
const PATIENCE_MS = 60_000;

const tls = { server: serverContexts(), client: clientContext() };
t.teardown(() => {
  tls.server.release();
  tls.client.release();
});

const head = new ResponseHead({ headBytes: 8192, headers: 100 });
const scanner = new ChunkScanner();

/** How far a stream of responses goes. */
type Extent = 'whole' | 'partial' | 'until the end' | 'tunnel';

function extentOf(bytes: Buffer, methods: readonly Method[]): Extent {
  let at = 0;
  for (const method of methods) {
    do {
      if (at === bytes.length) return 'whole';
      const length = head.parse(bytes, at, bytes.length, method);
      if (length <= 0) return 'partial';
      at += length;
    } while (head.isInterim);
    if (head.framing === Framing.until_close) return 'until the end';
    if (head.framing === Framing.tunnel) return 'tunnel';
    if (head.framing === Framing.length) at += head.contentLength;
    if (head.framing === Framing.chunked) {
      scanner.begin();
      const taken = scanner.scan(bytes, at, bytes.length);
      if (taken < 0 || !scanner.isDone) return 'partial';
      at += taken;
    }
    if (at > bytes.length) return 'partial';
  }
  return 'whole';
}

function isEndOfUpstream({ side, action }: Step): boolean {
  return side === 'upstream' && action === 'ends';
}

/** What a side has said by then, on its first connection. */
function saidBy(side: Side, steps: readonly Step[], { steps: count, bytes }: Moment): Buffer {
  const isMine = (step: Step) =>
    step.side === side && step.connection === 1 && step.action === 'says';
  const said = steps.slice(0, count).filter(isMine);
  const last = steps[count];
  const part = last !== undefined && isMine(last) ? [last.bytes.subarray(0, bytes)] : [];
  return Buffer.concat([...said.map((step) => step.bytes), ...part]);
}

/** Before each step, and in the middle of it. */
function momentsOf(steps: readonly Step[], random: Random): Moment[] {
  return steps.flatMap(({ action, bytes }, index) => {
    const before = { steps: index, bytes: 0 };
    if (action !== 'says' || bytes.length < 2) return [before];
    const within = [random.between(1, bytes.length - 1), bytes.length - 1];
    return [before, ...within.map((at) => ({ steps: index, bytes: at }))];
  });
}

function vanish(
  kit: SocketKit,
  steps: readonly Step[],
  moment: Moment,
  side: Side,
  how: How,
  options: TalkOptions,
) {
  const { tls } = options;
  const talk = new Talk(kit, options);
  const { room } = talk;
  const problems: string[] = [];
  const problem = talk.runUntil(steps, moment);
  if (problem !== undefined) problems.push(problem);
  for (const peer of talk.peersOf(side)) {
    if (how === 'ends') peer.end();
    else if (how === 'closes') peer.close();
    else peer.reset();
  }
  room.settle(5);
  for (let ms = 0; ms < PATIENCE_MS; ms += 3000) {
    room.nowMs += 3000;
    for (let turn = 0; turn < 3; turn++) room.clock.turn();
  }
  if (room.sessions().length > 0) {
    problems.push(`still there: ${room.sessions().map(({ stateName }) => stateName)}`);
  }
  const [client] = talk.peersOf('client');
  if (side === 'upstream' && client !== undefined) {
    client.receive();
    const isCleanEnd = client.isEnded && client.errno === 0;
    const { messages } = readRequests(saidBy('client', steps, moment));
    const methods = messages.map(({ start }) =>
      Math.max(0, methodNames.indexOf(start.split(' ')[0]!)),
    ) as Method[];
    const seen = extentOf(client.received, methods);
    const said = extentOf(saidBy('upstream', steps, moment), methods);
    const hasEnded = steps.slice(0, moment.steps).some(isEndOfUpstream) || how !== 'resets';
    const maySeeEnd =
      seen === 'whole' ||
      seen === 'tunnel' ||
      (seen === 'until the end' && (said === 'whole' || (said === seen && hasEnded)));
    if (isCleanEnd && !maySeeEnd) problems.push(`the client takes this for the whole: ${seen}`);
  }
  const left = room.finish();
  if (JSON.stringify(left) !== JSON.stringify(nothingLeft)) problems.push(JSON.stringify(left));
  if (room.count('exceptions') > 0) problems.push(JSON.stringify(room.lines));
  if (tls !== undefined) {
    for (const side of ['client', 'upstream'] as const) {
      for (const peer of talk.peersOf(side)) peer.close();
    }
  }
  return problems;
}

for (const file of conversationFiles()) {
  for (const { name, steps } of readConversations(file)) {
    socketTest(`vanishing: ${file}: ${name} (SEED=${SEED})`, (t: Test) => {
      tryAll(t, steps, new Random(SEED));
    });
  }
}

function tryAll(t: Test, steps: readonly Step[], random: Random): void {
  let tried = 0;
  for (const moment of momentsOf(steps, random)) {
    for (const side of ['client', 'upstream'] as const) {
      const how = random.pick(hows);
      const isSecure = random.oneIn(4);
      const sharesCalls = random.oneIn(2);
      const kit = new SocketKit();
      try {
        const options = { tls: isSecure ? tls : undefined, sharesCalls };
        const problems = vanish(kit, steps, moment, side, how, options);
        const where = `${isSecure ? 'TLS, ' : ''}${sharesCalls ? 'calls together, ' : ''}the ${side} ${how} behind ${moment.bytes} bytes of step ${moment.steps + 1}`;
        if (problems.length > 0) t.fail(where, { problems });
        tried++;
      } finally {
        kit.closeAll();
      }
    }
  }
  t.ok(tried > 0, `${tried} ends`);
}
