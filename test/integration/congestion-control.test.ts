// What TCP's congestion control is where the system has one that paces what is sent, in a network namespace whose
// system has it.
import { fileURLToPath } from 'node:url';
import t, { type Test } from 'tap';
import { missingProgram, testWith } from '../support/machine/capability.js';
import { congestionControls } from '../support/machine/congestion-controls.js';
import { missingNamespaces, Namespace } from '../support/machine/netns.js';
import { startConfigured } from '../support/programs/configured.js';
import { runProgram } from '../support/programs/program.js';

const timeout = { timeout: 30_000 };
const program = fileURLToPath(new URL('../support/programs/congestion.js', import.meta.url));
const missing = missingNamespaces() ?? missingProgram(['ss']);
const available = congestionControls('available');

function namespaceWith(t: Test, name: string): Namespace {
  const namespace = Namespace.create(t);
  const file = '/proc/sys/net/ipv4/tcp_congestion_control';
  namespace.run('sh', '-c', `echo ${name} > ${file}`);
  return namespace;
}

/** The congestion control of each end of a connection through a proxy. */
async function ends(namespace: Namespace, setup: object): Promise<Record<string, string>> {
  const words = [...namespace.prefix, process.execPath, program, JSON.stringify(setup)];
  const { stdout } = await runProgram(words, 20_000);
  return JSON.parse(stdout.toString());
}

// A kernel without BBR has nothing that paces.
if (available.includes('bbr')) {
  testWith(missing, 'congestion control: nothing is paced over loopback', timeout, async (t) => {
    const namespace = namespaceWith(t, 'bbr');
    const unpaced = { client: 'bbr', accepted: 'reno', connecting: 'reno', origin: 'bbr' };
    t.same(await ends(namespace, { bind: '127.0.0.1:0' }), unpaced);
    t.same(await ends(namespace, { bind: '*:0' }), unpaced, 'where others may come, too');
    t.same(await ends(namespace, { bind: '[::ffff:127.0.0.1]:0' }), unpaced, 'in IPv6 clothes');
  });

  testWith(missing, 'congestion control: the system’s where that is said', timeout, async (t) => {
    const namespace = namespaceWith(t, 'bbr');
    const system = { congestion_control: 'system' };
    t.match(await ends(namespace, { bind: '127.0.0.1:0', listener: system }), {
      accepted: 'bbr',
      connecting: 'reno',
    });
    t.match(await ends(namespace, { bind: '*:0', listener: system, upstream: system }), {
      accepted: 'bbr',
      connecting: 'bbr',
    });
  });

  testWith(missing, 'congestion control: one that is named', timeout, async (t) => {
    const named = { congestion_control: 'bbr' };
    const setup = { bind: '*:0', listener: named, upstream: named };
    t.match(await ends(namespaceWith(t, 'reno'), setup), {
      client: 'reno',
      accepted: 'bbr',
      connecting: 'bbr',
    });
  });
}

testWith(
  missing,
  'congestion control: one that does not pace is left alone',
  timeout,
  async (t) => {
    // The one that every kernel has, and every namespace may have.
    const other = 'reno';
    t.same(await ends(namespaceWith(t, other), { bind: '*:0' }), {
      client: other,
      accepted: other,
      connecting: other,
      origin: other,
    });
  },
);

t.test('congestion control: one that this kernel does not have is an error', timeout, async (t) => {
  for (const [section, listener, upstream] of [
    ['listeners.a', { congestion_control: 'nosuch' }, {}],
    ['upstreams.b', {}, { congestion_control: 'nosuch' }],
  ] as const) {
    const config = {
      listeners: { a: { bind: '127.0.0.1:0', socket: listener, tcp: { upstream: 'b' } } },
      upstreams: { b: { demo: true, socket: upstream } },
    };
    const what = `${section}.socket.congestion_control is "nosuch": this kernel has no such congestion control (ENOENT), it has ${available.join(' ')}`;
    await t.rejects(startConfigured(t, config), { message: new RegExp(literally(what)) });
  }
});

function literally(text: string): string {
  return text.replace(/[.()]/g, '\\$&');
}
