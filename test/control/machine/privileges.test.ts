import { chmodSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import type { Test } from 'tap';
import { missingProgram, missingRoot, testWith } from '#test/support/machine/capability.js';
import { congestionControls } from '#test/support/machine/congestion-controls.js';
import { Peer } from '#test/support/peers/peer.js';
import { startHeadgate } from '#test/support/programs/headgate.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 20_000 };
const nobody = ['setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups'];

/** One that this kernel does not give to everybody, if there is any. */
const forRoot = congestionControls('available')
  .filter((name) => !congestionControls('allowed').includes(name))
  .slice(0, 1);

function configFile(t: Test, top: object, socket = {}): string {
  const directory = temporaryDirectory(t);
  chmodSync(directory, 0o755);
  const path = `${directory}/headgate.yaml`;
  const config = {
    workers: 2,
    ...top,
    listeners: { a: { bind: '127.0.0.1:0', socket, tcp: { upstream: 'b' } } },
    upstreams: { b: { demo: true } },
  };
  writeFileSync(path, JSON.stringify(config), { mode: 0o644 });
  return path;
}

/** What proc_pid_status(5) says of every thread, by the thread's name. */
function threads(
  pid: number,
): { name: string; uid: string; gid: string; groups: string; nnp: string }[] {
  return readdirSync(`/proc/${pid}/task`).map((id) => {
    const status = readFileSync(`/proc/${pid}/task/${id}/status`, 'utf8');
    const field = (key: string) =>
      new RegExp(`^${key}:[ \\t]*(.*)$`, 'm').exec(status)![1]!.trim().replace(/\s+/g, ' ');
    return {
      name: field('Name'),
      uid: field('Uid'),
      gid: field('Gid'),
      groups: field('Groups'),
      nnp: field('NoNewPrivs'),
    };
  });
}

testWith(missingRoot(), 'privileges: root is dropped in every thread', timeout, async (t) => {
  const path = configFile(t, { user: 'nobody', group: '12345', no_new_privs: true });
  const headgate = await startHeadgate(['run', '-c', path]);
  t.teardown(() => headgate.kill());
  const all = threads(headgate.pid);
  t.ok(all.length > 3, `${all.length} threads`);
  for (const { name, uid, gid } of all) {
    t.equal(uid, '65534 65534 65534 65534', name);
    t.equal(gid, '12345 12345 12345 12345', name);
  }
  t.ok(all.filter(({ nnp }) => nnp === '1').length >= 3, 'the control thread and both workers');
  t.equal(threads(headgate.pid)[0]!.nnp, '1', 'the control thread');
  const client = await Peer.connect(headgate.address);
  client.socket.write('GET / HTTP/1.0\r\n\r\n');
  t.match((await client.read())?.toString(), /^HTTP\/1.1 200/, 'and it serves');
  client.close();
  t.same(await headgate.stop(), { code: 0, signal: null });
});

testWith(missingRoot(), 'privileges: a user brings its group', timeout, async (t) => {
  const headgate = await startHeadgate(['run', '-c', configFile(t, { user: 'nobody' })]);
  t.teardown(() => headgate.kill());
  const [main] = threads(headgate.pid);
  t.match(main, { gid: '65534 65534 65534 65534', groups: /^(65534)?$/, nnp: '0' });
});

for (const [name, top, socket, message] of [
  [
    'nobody knows',
    { user: 'no-such-user' },
    {},
    /there is no user "no-such-user" in \/etc\/passwd/,
  ],
  ['a group nobody knows', { user: 'nobody', group: 'no-such' }, {}, /there is no group "no-such"/],
  ['a number without a group', { user: '54321' }, {}, /"group" must be said, too/],
  [
    'what needs root for ever',
    { user: 'nobody' },
    { transparent: true },
    /listeners\.a\.socket\.transparent needs CAP_NET_ADMIN/,
  ],
  ...forRoot.map(
    (name) =>
      [
        'a congestion control for root alone',
        { user: 'nobody' },
        { congestion_control: name },
        /listeners\.a\.socket\.congestion_control is "\w+", which is not in net\.ipv4\.tcp_allowed_congestion_control/,
      ] as const,
  ),
] as const) {
  testWith(missingRoot(), `privileges: ${name} is one clear error`, timeout, async (t) => {
    const path = configFile(t, top, socket);
    await t.rejects(startHeadgate(['run', '-c', path]), { message });
  });
}

testWith(
  missingRoot() ?? missingProgram(['setpriv']),
  'privileges: who is not root cannot become somebody else',
  timeout,
  async (t) => {
    const args = ['run', '-c', configFile(t, { user: 'daemon' })];
    const message =
      /user is daemon, but only root can become somebody else; this process is user 65534/;
    await t.rejects(startHeadgate(args, { prefix: nobody }), { message });
    const same = ['run', '-c', configFile(t, { user: 'nobody' })];
    const headgate = await startHeadgate(same, { prefix: nobody });
    await headgate.kill();
    t.pass('but stay who it is');
  },
);
