// Turns with many events, in any order: requests, answers, whole and in pieces, clients that go away, idle connections that
// end, break, or say what nobody asked for. No request of a client that stays may fail, whether it can be repeated or not.
import { Socket } from '#src/splice/index.js';
import { type ExchangeRig, exchangeTest } from '#test/support/http/exchange-rig.js';
import { payload, Random } from '#test/support/random.js';
import { RawPeer } from '#test/support/sockets/raw-peer.js';
import type { SocketKit } from '#test/support/sockets/socket-kit.js';

const SEED = Random.seed();
const CLIENTS = 12;
const TURNS = 60;
const ROUNDS = 12;
const UNASKED = Buffer.from('HTTP/1.1 408 Request Timeout\r\nContent-Length: 2\r\n\r\nno');
const sea = payload(SEED, 100_000);

/** A request and its response, known by their number. */
class Script {
  readonly request: Buffer;
  readonly response: Buffer;

  constructor(number: number) {
    const random = new Random(SEED + number);
    const part = (): Buffer => sea.subarray(0, random.between(0, random.pick([20, 3000, 20_000])));
    const asked = random.oneIn(2) ? part() : undefined;
    const method = asked === undefined ? random.pick(['GET', 'HEAD']) : 'POST';
    const length = asked === undefined ? '' : `Content-Length: ${asked.length}\r\n`;
    const head = `${method} /${number} HTTP/1.1\r\nHost: x\r\n${length}\r\n`;
    this.request = Buffer.concat([Buffer.from(head), asked ?? Buffer.alloc(0)]);
    const answer = part();
    const status = `HTTP/1.1 200 OK\r\nX: ${number}\r\nContent-Length: ${answer.length}\r\n\r\n`;
    const body = method === 'HEAD' ? Buffer.alloc(0) : answer;
    this.response = Buffer.concat([Buffer.from(status), body]);
  }
}

class Client {
  readonly expected: Buffer[] = [];

  constructor(readonly peer: RawPeer) {}

  /** Bytes that are still to come. */
  get due(): number {
    return this.expected.reduce((sum, { length }) => sum + length, 0) - this.peer.receivedBytes;
  }
}

/** The far end of a connection to the endpoint. */
class Far {
  /** Bytes of requests that were answered. */
  private heard = 0;
  private rest: Buffer = Buffer.alloc(0);

  constructor(readonly peer: RawPeer) {}

  /** It has carried a request, and has none now. */
  get isIdle(): boolean {
    return this.heard > 0 && this.rest.length === 0 && this.peer.receivedBytes === this.heard;
  }

  /** Answers what has come, or a part of it. @returns what came, if it is not what should have */
  answer(random: Random): string | undefined {
    if (this.rest.length === 0) {
      const asked = this.peer.received.subarray(this.heard);
      const number = /^\w+ \/(\d+) HTTP/.exec(asked.toString('latin1', 0, 40))?.[1];
      if (number === undefined) return asked.length === 0 ? undefined : `${asked}`;
      const { request, response } = new Script(Number(number));
      if (!request.subarray(0, asked.length).equals(asked)) return `${asked}`;
      if (asked.length < request.length) return undefined;
      this.heard += request.length;
      this.rest = response;
    }
    const most = random.oneIn(4) ? random.between(1, this.rest.length) : this.rest.length;
    this.rest = this.rest.subarray(this.peer.send(this.rest.subarray(0, most)));
    return undefined;
  }
}

class Scene {
  readonly problems: string[] = [];
  /** Idle connections that the endpoint has ended. */
  ended = 0;
  private clients: Client[] = [];
  private fars: Far[] = [];
  private scripts = 0;

  constructor(
    private readonly rig: ExchangeRig,
    private readonly kit: SocketKit,
    private readonly random: Random,
  ) {}

  play(): void {
    const { random } = this;
    for (let turn = 0; turn < TURNS; turn++) {
      if (this.clients.length < CLIENTS) this.enter();
      const acts = [
        ...this.clients.map((client) => () => this.ask(client)),
        ...this.fars.map((far) => () => this.serve(far)),
      ];
      while (acts.length > 0) acts.splice(random.between(0, acts.length - 1), 1)[0]!();
      this.turn();
    }
    this.rig.room.until(() => {
      for (const far of this.fars) this.note(far.answer(random));
      this.turn();
      return this.clients.every(({ peer, due }) => due <= 0 || peer.isEnded || peer.errno !== 0);
    }, 5000);
    for (const { peer, expected } of this.clients) {
      const all = Buffer.concat(expected);
      if (!peer.received.equals(all)) this.note(differenceOf(peer.received, all));
      peer.close();
    }
    for (const { peer } of this.fars) peer.close();
  }

  private enter(): void {
    this.clients.push(new Client(this.rig.room.client()));
    this.turn();
  }

  private ask(client: Client): void {
    const { random } = this;
    if (random.oneIn(60)) {
      client.peer.reset();
      this.clients = this.clients.filter((one) => one !== client);
    } else if (client.due === 0 || random.oneIn(10)) {
      const scripts = Array.from({ length: random.between(1, 3) }, () => this.next());
      client.peer.send(Buffer.concat(scripts.map(({ request }) => request)));
      client.expected.push(...scripts.map(({ response }) => response));
    }
  }

  private next(): Script {
    return new Script(this.scripts++);
  }

  private serve(far: Far): void {
    const { random } = this;
    if (!far.isIdle) {
      if (!random.oneIn(4)) this.note(far.answer(random));
    } else if (random.oneIn(4)) {
      this.ended++;
      const how = random.pick(['end', 'reset', 'unasked']);
      if (how === 'unasked') far.peer.send(UNASKED);
      if (how === 'reset') far.peer.reset();
      else far.peer.end();
      this.fars = this.fars.filter((one) => one !== far);
    }
  }

  private turn(): void {
    const { rig, kit } = this;
    rig.room.clock.turn();
    for (;;) {
      const fd = kit.kernel.accept4(rig.room.origin.fd, 0, 0, Socket.SOCK_NONBLOCK);
      if (fd < 0) break;
      this.fars.push(new Far(new RawPeer(kit, kit.own(fd))));
    }
    for (const { peer } of [...this.fars, ...this.clients]) peer.receive();
    this.fars = this.fars.filter(({ peer }) => !peer.isEnded && peer.errno === 0);
  }

  private note(problem: string | undefined): void {
    if (problem !== undefined) this.problems.push(problem.slice(0, 200));
  }
}

function differenceOf(one: Buffer, other: Buffer): string {
  const at = [...one.keys()].find((index) => one[index] !== other[index]) ?? one.length;
  return `at ${at} of ${other.length}: ${one.subarray(at, at + 200)}`;
}

for (const sharesCalls of [true, false]) {
  for (let round = 0; round < ROUNDS; round++) {
    const how = sharesCalls ? 'calls made together' : 'each call by itself';
    exchangeTest(
      `turns at random, ${how}, ${round} (SEED=${SEED})`,
      (rig, t, kit) => {
        const scene = new Scene(rig, kit, new Random(SEED - round));
        scene.play();
        t.same(scene.problems, []);
        t.ok(scene.ended > 5, `${scene.ended} idle connections ended`);
        t.equal(rig.room.count('batches') > 0, sharesCalls);
      },
      { sharesCalls },
    );
  }
}
