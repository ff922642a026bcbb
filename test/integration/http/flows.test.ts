// /api/flows for HTTP: requests that are stopped in the middle, asked from outside.
import net from 'node:net';
import tls from 'node:tls';
import t, { type Test } from 'tap';
import type { FlowStatus } from '#src/proxy/index.js';
import { until } from '#test/support/deadline.js';
import { isStopped } from '#test/support/machine/proc.js';
import { freePort } from '#test/support/peers/address.js';
import { startConfigured } from '#test/support/programs/configured.js';
import type { Headgate } from '#test/support/programs/headgate.js';

const timeout = { timeout: 30_000 };

/** A client or an origin: a socket, and what came by it. */
class End {
  text = '';
  bytes = 0;

  constructor(readonly socket: net.Socket) {
    socket.on('error', () => {});
    socket.on('data', (data) => {
      this.bytes += data.length;
      if (this.text.length < 10_000) this.text += data.toString('latin1');
    });
  }

  write(text: string): void {
    this.socket.write(Buffer.from(text, 'latin1'));
  }

  async has(text: string): Promise<void> {
    await until(5_000, `${text} arrives`, () => this.text.includes(text));
  }

  /** Waits until nothing has come for a while. */
  async quiet(): Promise<void> {
    for (let before = -1; before !== this.bytes; ) {
      before = this.bytes;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
}

class FlowRig {
  private constructor(
    private readonly test: Test,
    readonly headgate: Headgate,
    private readonly admin: string,
    readonly endpoint: string,
    private readonly accepted: End[],
  ) {}

  static async start(t: Test, more: { listener?: object; config?: object } = {}): Promise<FlowRig> {
    const accepted: End[] = [];
    const server = net.createServer((socket) => accepted.push(new End(socket)));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.teardown(() => {
      for (const { socket } of accepted) socket.destroy();
      server.close();
    });
    const endpoint = `127.0.0.1:${(server.address() as net.AddressInfo).port}`;
    const admin = `127.0.0.1:${await freePort()}`;
    const { headgate } = await startConfigured(t, {
      log: { access: false },
      admin: { bind: admin },
      ...more.config,
      listeners: {
        web: {
          bind: '127.0.0.1:0',
          http: { routes: [{ name: 'all', upstream: 'app' }] },
          ...more.listener,
        },
      },
      upstreams: { app: { endpoints: [endpoint] } },
    });
    return new FlowRig(t, headgate, admin, endpoint, accepted);
  }

  connect(): End {
    const socket = net.connect(this.headgate.port, '127.0.0.1');
    this.test.teardown(() => socket.destroy());
    return new End(socket);
  }

  /** The origin's end of a connection, by its position. */
  async origin(index = 0): Promise<End> {
    await until(5_000, 'the origin is connected to', () => this.accepted.length > index);
    return this.accepted[index]!;
  }

  /** The only flow, once it is as expected. */
  async flow(what: string, isThere: (flow: FlowStatus) => boolean): Promise<FlowStatus> {
    let last: unknown;
    for (let attempt = 0; attempt < 100; attempt++) {
      const response = await fetch(`http://${this.admin}/api/flows`);
      const { flows } = (await response.json()) as { flows: FlowStatus[] };
      last = flows;
      if (flows.length === 1 && isThere(flows[0]!)) return flows[0]!;
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    throw new Error(`${what}: ${JSON.stringify(last)}`);
  }
}

const post = 'POST /up?x=1 HTTP/1.1\r\nHost: a.example\r\nContent-Length: 1000\r\n\r\n';
const get = (path: string) => `GET ${path} HTTP/1.1\r\nHost: a.example\r\n\r\n`;
const answer = (length: number) => `HTTP/1.1 200 OK\r\nContent-Length: ${length}\r\n\r\n`;

t.test('http flows: a request that stops in the middle, both ways', timeout, async (t) => {
  const rig = await FlowRig.start(t);
  const client = rig.connect();
  client.write(post.slice(0, 20));
  const reading = await rig.flow('a head in part', ({ state }) => state === 'readingHead');
  t.strictSame(reading.http, { requests: 0 });

  client.write(post.slice(20) + 'x'.repeat(400));
  const origin = await rig.origin();
  await origin.has('x'.repeat(400));
  const sent = post.length + 400;
  const uploading = await rig.flow('the body in part', ({ up }) => up.bytes === sent);
  const id = /x-request-id: (\w+)/i.exec(origin.text)![1];
  t.match(uploading, {
    ...{ listener: 'web', upstream: 'app', endpoint: rig.endpoint, state: 'awaiting' },
    up: { bytes: sent, path: 'copy', state: 'waiting' },
    down: { bytes: 0, path: 'none', state: 'waiting' },
  });
  const { request } = uploading.http!;
  t.match(request, {
    ...{ request_id: id, method: 'POST', host: 'a.example', target: '/up?x=1' },
    ...{ version: 'HTTP/1.1', route: 'all', age_ms: Number, upstream_reused: false },
    up: { bytes: sent, path: 'copy', state: 'waiting' },
    down: { bytes: 0 },
  });
  t.equal(uploading.http!.requests, 1);
  t.notOk('status' in request!, 'no response yet');

  client.write('y'.repeat(600));
  await origin.has('y'.repeat(600));
  const whole = await rig.flow('all of it', ({ up }) => up.bytes === post.length + 1000);
  t.equal(whole.http!.request!.up.state, 'ended');

  origin.write(`${answer(1000)}${'z'.repeat(300)}`);
  await client.has('z'.repeat(300));
  const responding = await rig.flow('the response', ({ state }) => state === 'responding');
  t.match(responding.http, {
    requests: 1,
    request: { status: 200, ttfb_ms: Number, target: '/up?x=1' },
  });
  t.equal(responding.down.bytes, client.bytes, 'what the client has');
  t.equal(responding.http!.request!.down.bytes, client.bytes);

  origin.write('z'.repeat(700));
  await client.has('z'.repeat(1000));
  const idle = await rig.flow('nothing under way', ({ state }) => state === 'idle');
  t.match(idle.http, { requests: 1, idle_ms: Number, request: undefined });
  t.match([idle.up, idle.down], [{ bytes: post.length + 1000 }, { bytes: client.bytes }]);
  await new Promise((resolve) => setTimeout(resolve, 100));
  const later = await rig.flow('still nothing', ({ state }) => state === 'idle');
  t.ok(later.http!.idle_ms! >= 90, `idle for ${later.http!.idle_ms} ms`);

  client.write(get('/again'));
  await origin.has('GET /again');
  const again = await rig.flow('another request', ({ state }) => state === 'awaiting');
  t.match(again.http, { requests: 2, request: { target: '/again', upstream_reused: true } });
  t.equal(again.http!.request!.up.bytes, get('/again').length, 'its own bytes');
  t.equal(again.up.bytes, post.length + 1000 + get('/again').length, 'those of the connection');
});

t.test('http flows: what a client does not read is not counted as sent', timeout, async (t) => {
  const rig = await FlowRig.start(t);
  const client = rig.connect();
  client.socket.pause();
  client.write(get('/much'));
  const origin = await rig.origin();
  await origin.has('GET /much');
  origin.write(answer(100_000_000));
  for (let piece = 0; piece < 100; piece++) origin.socket.write(Buffer.alloc(1_000_000, 'x'));
  let before = -1;
  const blocked = await rig.flow('the client is too slow', ({ down }) => {
    const isStill = down.state === 'blocked' && down.bytes === before;
    before = down.bytes;
    return isStill;
  });
  t.match(blocked.http!.request, { status: 200, down: { state: 'blocked' } });
  t.ok(blocked.down.path === 'mixed' || blocked.down.path === 'splice', blocked.down.path);
  // Whatever is on its way to the client now was handed to its socket before.
  rig.headgate.signal('SIGSTOP');
  t.teardown(() => rig.headgate.signal('SIGCONT'));
  await until(10_000, 'every thread has stopped', () => isStopped(rig.headgate.pid));
  client.socket.resume();
  await client.quiet();
  rig.headgate.signal('SIGCONT');
  t.equal(client.bytes >= blocked.down.bytes, true, `${client.bytes} of ${blocked.down.bytes}`);
  t.equal(client.bytes, blocked.down.bytes, 'to the byte');
});

t.test('http flows: a tunnel is the request that opened it, and its bytes', timeout, async (t) => {
  const rig = await FlowRig.start(t);
  const client = rig.connect();
  const head = get('/ws').replace('\r\n\r\n', '\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
  client.write(head);
  const origin = await rig.origin();
  await origin.has('GET /ws');
  origin.write('HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\nUpgrade: x\r\n\r\n');
  await client.has('\r\n\r\n');
  client.write('0123456789');
  await origin.has('0123456789');
  origin.write('abcde');
  await client.has('abcde');
  const flow = await rig.flow('a tunnel', ({ state }) => state === 'tunnelling');
  t.match(flow, {
    up: { bytes: head.length + 10 },
    down: { bytes: client.bytes },
    http: { requests: 1, request: { target: '/ws', status: 101 } },
  });
});

t.test('http flows: TLS is shown', timeout, async (t) => {
  const rig = await FlowRig.start(t, { listener: { tls: { self_signed: ['a.example'] } } });
  const options = { host: '127.0.0.1', port: rig.headgate.port, rejectUnauthorized: false };
  const socket = tls.connect({ ...options, servername: 'a.example' });
  t.teardown(() => socket.destroy());
  const client = new End(socket);
  client.write(get('/secure'));
  const origin = await rig.origin();
  await origin.has('GET /secure');
  const flow = await rig.flow('the request', ({ state }) => state === 'awaiting');
  t.match(flow, {
    tls: { version: '1.3', server_name: 'a.example' },
    http: { request: { target: '/secure', up: { bytes: get('/secure').length } } },
  });
});
