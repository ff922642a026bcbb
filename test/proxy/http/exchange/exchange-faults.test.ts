// Every system call of a conversation fails once, in every way its manual page allows: the client has right bytes, an
// honest error or a broken connection, the endpoint has a beginning of what was sent, and nothing is left behind.
import { Errno, Socket, type SyscallName } from '#src/splice/index.js';
import { type Fault, possibleFaults } from '#test/support/faults/fault-plan.js';
import { plainHttp } from '#test/support/http/http-snapshot.js';
import { payload } from '#test/support/random.js';
import { RawPeer } from '#test/support/sockets/raw-peer.js';
import { SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { nothingLeft, TestRoom } from '#test/support/worker/worker-room.js';

const ROUNDS_MAX = 60;
const PATIENCE_MS = 60_000;
/** Of each call, so many are tried from the first one on. */
const NTH_MAX = 12;

/** The kernel would tell of what is left by another event; `faults.test.ts` has these, and makes that event. */
const impossible: readonly Fault[] = ['EAGAIN', 'short'];
const left: readonly SyscallName[] = ['epoll_wait', 'read'];

/** What is said, in turn; each side speaks when it has heard everything before. */
interface Scenario {
  readonly name: string;
  readonly requests: readonly Buffer[];
  readonly responses: readonly Buffer[];
}

const big = payload(7, 300_000);
const wire = (head: string, body: Buffer = Buffer.alloc(0)) =>
  Buffer.concat([Buffer.from(head.replaceAll('\n', '\r\n'), 'latin1'), body]);

const scenarios: readonly Scenario[] = [
  {
    name: 'kept connections',
    requests: [
      wire('PUT /a HTTP/1.1\nHost: x\nContent-Length: 5\n\nhello'),
      wire('GET /b HTTP/1.1\nHost: x\n\n'),
    ],
    responses: [
      wire('HTTP/1.1 200 OK\nContent-Length: 2\n\nok'),
      wire('HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n0\n\n'),
    ],
  },
  {
    name: 'long bodies',
    requests: [wire(`PUT /a HTTP/1.1\nHost: x\nContent-Length: ${big.length}\n\n`, big)],
    responses: [wire(`HTTP/1.1 200 OK\nContent-Length: ${big.length}\n\n`, big)],
  },
  {
    name: 'a tunnel',
    requests: [
      wire('GET / HTTP/1.1\nHost: x\nUpgrade: y\nConnection: upgrade\n\n'),
      Buffer.from('up'),
      big,
    ],
    responses: [
      wire('HTTP/1.1 101 Switching Protocols\nUpgrade: y\nConnection: upgrade\n\n'),
      Buffer.from('down'),
      big,
    ],
  },
];

function upTo(parts: readonly Buffer[], count: number): Buffer {
  return Buffer.concat(parts.slice(0, count));
}

/** Calls by name, of a run without faults. */
type Counts = Map<SyscallName, number>;

interface Ending {
  readonly problems: readonly string[];
  readonly isWhole: boolean;
  readonly counts: Counts;
}

function run(kit: SocketKit, { requests, responses }: Scenario, rule?: Rule): Ending {
  const room = new TestRoom(kit, { http: plainHttp });
  const before = room.libc.trace.length;
  if (rule !== undefined) script(room, rule);
  const client = room.client();
  const upstreams: RawPeer[] = [];
  const sent = { up: 0, down: 0 };
  const all = Buffer.concat(responses);
  for (let round = 0; round < ROUNDS_MAX; round++) {
    room.settle(10);
    room.nowMs += 20;
    const fd = kit.kernel.accept4(room.origin.fd, 0, 0, Socket.SOCK_NONBLOCK);
    if (fd >= 0) upstreams.push(new RawPeer(kit, kit.own(fd)));
    client.receive();
    for (const upstream of upstreams) upstream.receive();
    if (client.receivedBytes >= all.length || client.isEnded || client.errno !== 0) break;
    // The client says the next part when it has the answer to all before.
    const answered = responses.findIndex(
      (_, index) => client.receivedBytes < upTo(responses, index + 1).length,
    );
    const mayBeSent = upTo(requests, answered + 1);
    if (sent.up < mayBeSent.length) sent.up += client.send(mayBeSent.subarray(sent.up));
    const upstream = upstreams.at(-1);
    const heard = upstreams.reduce((sum, peer) => Math.max(sum, peer.receivedBytes), 0);
    if (upstream === undefined || heard < mayBeSent.length) continue;
    const answer = upTo(responses, answered + 1);
    if (sent.down < answer.length) sent.down += upstream.send(answer.subarray(sent.down));
  }
  const problems: string[] = [];
  const { received } = client;
  const right = commonBytes(received, all);
  const rest = received.subarray(right).toString('latin1');
  // An error begins like an answer does.
  const isError = /^(HTTP\/1\.1 )?(408|5\d\d) .*<\/html>\n$/s.test(rest);
  if (rest !== '' && !isError) problems.push(`the client got ${rest.slice(0, 100)}`);
  const meant = requestBytes(requests);
  for (const peer of upstreams) {
    const isBeginning = meant.some((one) =>
      one.subarray(0, peer.receivedBytes).equals(peer.received),
    );
    if (!isBeginning) problems.push('the endpoint got something else');
  }
  for (const peer of [client, ...upstreams]) peer.close();
  for (let ms = 0; ms < PATIENCE_MS; ms += 3000) {
    room.nowMs += 3000;
    for (let turn = 0; turn < 3; turn++) room.clock.turn();
  }
  if (room.sessions().length > 0) problems.push('it is still there');
  const remains = room.finish();
  if (JSON.stringify(remains) !== JSON.stringify(nothingLeft)) {
    problems.push(JSON.stringify(remains));
  }
  if (room.count('exceptions') > 0) problems.push(JSON.stringify(room.lines));
  const counts: Counts = new Map();
  for (const { name } of room.libc.trace.slice(before))
    counts.set(name, (counts.get(name) ?? 0) + 1);
  return { problems, isWhole: received.equals(all), counts };
}

/** What one connection to the endpoint may carry: all requests from some one on. */
function requestBytes(requests: readonly Buffer[]): Buffer[] {
  return requests.map((_, index) => Buffer.concat(requests.slice(index)));
}

function commonBytes(one: Buffer, other: Buffer): number {
  const length = Math.min(one.length, other.length);
  if (one.subarray(0, length).equals(other.subarray(0, length))) return length;
  let at = 0;
  while (one[at] === other[at]) at++;
  return at;
}

interface Rule {
  readonly name: SyscallName;
  readonly nth: number;
  readonly fault: Fault;
}

function script(room: TestRoom, { name, nth, fault }: Rule): void {
  let seen = 0;
  room.libc.script(name, (args, real) => {
    if (++seen !== nth) return real(...args);
    // A descriptor is gone whatever close(2) says, and a connect(2) that was interrupted goes on.
    if (name === 'close' || (name === 'connect' && fault === 'EINTR')) real(...args);
    return -Errno[fault as Exclude<Fault, 'short'>];
  });
}

for (const scenario of scenarios) {
  socketTest(`exchange faults: ${scenario.name}, every call`, (t) => {
    const attempt = (rule?: Rule): Ending => {
      const kit = new SocketKit();
      try {
        return run(kit, scenario, rule);
      } finally {
        kit.closeAll();
      }
    };
    const good = attempt();
    t.ok(good.isWhole, 'without faults all is well');
    t.same(good.problems, []);
    let tried = 0;
    for (const [name, count] of good.counts) {
      if (left.includes(name)) continue;
      const faults = new Set(
        possibleFaults.flatMap(([call, , faults]) => (call === name ? faults : [])),
      );
      for (let nth = 1; nth <= Math.min(count, NTH_MAX); nth++) {
        for (const fault of faults) {
          if (impossible.includes(fault)) continue;
          let { problems, isWhole } = attempt({ name, nth, fault });
          // A run waits for so long only; what a fault does, it does each time.
          if (fault === 'EINTR' && !isWhole && problems.length === 0) {
            ({ problems, isWhole } = attempt({ name, nth, fault }));
          }
          const isWrong = problems.length > 0 || (fault === 'EINTR' && !isWhole);
          if (isWrong) t.fail(`${name} ${nth} answers ${fault}`, { problems, isWhole });
          tried++;
        }
      }
    }
    t.ok(tried > 50, `${tried} faults`);
  });
}
