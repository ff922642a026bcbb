// Stopping while clients that have to speak first are at all stages of that.
import t from 'tap';
import { connect, echoOrigin, Load, says } from '#test/support/control/live-proxy.js';
import { sleep, until, within } from '#test/support/deadline.js';
import { startConfigured } from '#test/support/programs/configured.js';
import { hello, serverName } from '../proxy/tcp/hello-builder.js';

const named = hello({ extensions: [serverName('db.example.com')] });

t.test(
  'drain: who has said nothing is let go, the others go on',
  { timeout: 20_000 },
  async (t) => {
    const app = await echoOrigin(t);
    const { headgate } = await startConfigured(t, {
      timeouts: { head: '15s', drain: '15s' },
      listeners: {
        web: { bind: '127.0.0.1:0', tcp: { routes: [{ sni: 'db.example.com', upstream: 'app' }] } },
      },
      upstreams: { app: { endpoints: [app.address] } },
    });
    const heard = [0, 0, 0];
    const clients = heard.map((_, index) => {
      const socket = connect(t, headgate.address);
      socket.on('data', (data) => {
        heard[index]! += data.length;
      });
      return socket;
    });
    const [established, partial, silent] = clients;
    established!.write(named);
    await until(3_000, 'the echo', () => heard[0] === named.length);
    partial!.write(named.subarray(0, 50));
    const ended = new Promise<void>((resolve) => silent!.once('end', resolve));
    headgate.signal('SIGTERM');
    await within(4_000, 'the silent one is let go with a FIN', ended, headgate.context);
    silent!.destroy();
    established!.write('more');
    partial!.write(named.subarray(50));
    await until(3_000, 'echoes', () => heard[0] === named.length + 4 && heard[1] === named.length);
    t.equal(headgate.exited, undefined);
    established!.end();
    partial!.end();
    t.same(await within(3_000, 'the exit', headgate.exit, headgate.context), {
      code: 0,
      signal: null,
    });
    t.same(
      headgate
        .flows()
        .map(({ close }) => close)
        .sort(),
      ['done', 'done', 'drained'],
    );
  },
);

t.test(
  'drain: under load clients are served whole or refused, never cut',
  { timeout: 20_000 },
  async (t) => {
    const app = await echoOrigin(t);
    const { headgate } = await startConfigured(t, {
      workers: 2,
      listeners: { web: { bind: '127.0.0.1:0', tcp: { upstream: 'app' } } },
      upstreams: { app: { endpoints: [app.address] } },
    });
    let refused = 0;
    const load = new Load(async () => {
      const socket = connect(t, headgate.address);
      let code: string | undefined;
      socket.on('error', (error: NodeJS.ErrnoException) => {
        code = error.code;
      });
      const isWell = await says(socket, 'hello');
      socket.destroy();
      if (code === 'ECONNREFUSED') refused++;
      return isWell || code === 'ECONNREFUSED';
    });
    await sleep(500);
    headgate.signal('SIGTERM');
    await within(5_000, 'the exit', headgate.exit, headgate.context);
    await until(2_000, 'refusals', () => refused > 5);
    t.equal(await load.end(), 0, `of ${load.count}, ${refused} refused`);
    const closes = new Set(headgate.flows().map(({ close }) => close));
    t.same(closes, new Set(['done']));
  },
);
