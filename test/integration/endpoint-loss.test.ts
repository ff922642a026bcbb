// Endpoints die and come back while clients come and go.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import t, { type Test } from 'tap';
import { connect, Load, says } from '#test/support/control/live-proxy.js';
import { sleep, until } from '#test/support/deadline.js';
import { freePort } from '#test/support/peers/address.js';
import { startConfigured } from '#test/support/programs/configured.js';
import type { FlowLine } from '#test/support/programs/headgate.js';
import { withoutLoader } from '#test/support/programs/program.js';

const timeout = { timeout: 30_000 };

/** An echo server in a process of its own, which can be killed as a machine dies: all at once. */
class Endpoint {
  readonly address: string;
  private child: ReturnType<typeof spawn> | undefined;

  constructor(
    t: Test,
    private readonly port: number,
  ) {
    this.address = `127.0.0.1:${port}`;
    t.teardown(() => this.kill());
  }

  async start(): Promise<void> {
    const script = `require('node:net').createServer({ noDelay: true }, (s) => s.on('error', () => {}).pipe(s)).listen(${this.port}, '127.0.0.1', 4096, () => console.log('listening'))`;
    const [command, ...args] = withoutLoader([process.execPath, '-e', script]);
    this.child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    await once(this.child.stdout!, 'data');
  }

  async kill(): Promise<void> {
    const { child } = this;
    this.child = undefined;
    if (child === undefined) return;
    const gone = once(child, 'exit');
    child.kill('SIGKILL');
    await gone;
  }
}

for (const [how, health] of [
  ['traffic', { passive: { failures: 2, eject_for: '300ms' } }],
  ['checks', { passive: false, active: { interval: '50ms', timeout: '500ms', rise: 1, fall: 1 } }],
] as const) {
  const name = `endpoint loss: found out by ${how}, only its own connections fail`;
  t.test(name, timeout, async (t) => {
    const endpoints = [new Endpoint(t, await freePort()), new Endpoint(t, await freePort())];
    for (const one of endpoints) await one.start();
    const { headgate, finish } = await startConfigured(t, {
      workers: 1,
      listeners: { web: { bind: '127.0.0.1:0', tcp: { upstream: 'app' } } },
      upstreams: { app: { endpoints: endpoints.map(({ address }) => address), health } },
    });
    const [dying] = endpoints;
    const talk = async () => {
      const socket = connect(t, headgate.address);
      let isWell = await says(socket, 'one');
      await sleep(20);
      isWell &&= await says(socket, 'two');
      socket.destroy();
      return isWell;
    };
    // Two that stay: the proxy takes turns, so each endpoint has one.
    const staying = [connect(t, headgate.address), connect(t, headgate.address)];
    for (const one of staying) t.ok(await says(one, 'hello'));
    const load = new Load(talk);
    for (let round = 0; round < 3; round++) {
      await sleep(250);
      await dying!.kill();
      await sleep(400);
      await dying!.start();
    }
    // The third ejection in a row lasts four times as long as the first.
    await sleep(2_500);
    const failed = await load.end();
    t.ok(load.count > 200, `${load.count} connections`);
    const alive = await Promise.all(staying.map((one) => says(one, 'still')));
    t.same(alive.sort(), [false, true], 'of those that stayed, the one whose endpoint lived');
    for (const one of staying) one.destroy();
    const lines = await headgate.flowsEnded(load.count + 2);
    const isWhole = ({ close, bytes_down }: FlowLine) => close === 'done' && bytes_down >= 6;
    const broken = lines.filter((line) => !isWhole(line));
    t.same(
      broken.filter(({ endpoint }) => endpoint !== dying!.address),
      [],
      'nobody else’s',
    );
    // A process that is killed ends its connections with FINs where it had read everything.
    t.ok(failed <= broken.length, `${failed} failed, ${broken.length} lost their endpoint`);
    const back = lines.slice(-40).filter(({ endpoint }) => endpoint === dying!.address);
    t.ok(back.length > 0, 'the endpoint that came back serves again');
    await finish();
  });
}

t.test(
  'endpoint loss: all are gone, refused at once and said so; then back',
  timeout,
  async (t) => {
    const endpoint = new Endpoint(t, await freePort());
    await endpoint.start();
    const { headgate } = await startConfigured(t, {
      listeners: { web: { bind: '127.0.0.1:0', tcp: { upstream: 'app' } } },
      upstreams: {
        app: {
          endpoints: [endpoint.address],
          health: { active: { interval: '50ms', rise: 1, fall: 1 } },
        },
      },
    });
    const talk = async () => {
      const socket = connect(t, headgate.address);
      const isWell = await says(socket, 'hello');
      socket.destroy();
      return isWell;
    };
    t.ok(await talk());
    await endpoint.kill();
    const refused = () => headgate.flows().filter(({ close }) => close === 'no_endpoint');
    await until(5_000, 'refused', async () => !(await talk()) && refused().length > 0);
    t.ok(refused().at(-1)!.duration_ms < 100, 'quickly');
    t.ok(
      headgate.logs.some(({ level, msg }) => level >= 40 && /endpoint/.test(msg)),
      'the log warns',
    );
    await endpoint.start();
    await until(5_000, 'it serves again', talk);
  },
);
