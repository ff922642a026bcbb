import { spawnSync } from 'node:child_process';
import t from 'tap';
import { loadConfig } from '#src/config/index.js';
import { isPassword, readPasswordHash } from '#src/proxy/http/guarding/password.js';
import { programPath } from '#test/support/programs/headgate.js';
import { withoutLoader } from '#test/support/programs/program.js';

function hashOf(input: string, ...args: string[]) {
  const [command, ...rest] = withoutLoader([process.execPath, programPath, 'password', ...args]);
  return spawnSync(command!, rest, { encoding: 'utf8', input });
}

t.test(
  'password: a line becomes a hash that the configuration takes and the proxy knows',
  async (t) => {
    const { stdout, status } = hashOf('pässword with spaces \nand another line\n');
    t.equal(status, 0);
    const text = stdout.trimEnd();
    const loaded = loadConfig(
      JSON.stringify({
        listeners: {
          web: {
            bind: '127.0.0.1:80',
            http: { routes: [{ upstream: 'app', basic_auth: { users: { a: text } } }] },
          },
        },
        upstreams: { app: { demo: true } },
      }),
    );
    t.ok(loaded.ok);
    const hash = readPasswordHash(text);
    t.ok(isPassword(Buffer.from('pässword with spaces '), hash));
    t.notOk(isPassword(Buffer.from('pässword with spaces'), hash));
    t.not(hashOf('pässword with spaces \n').stdout, stdout, 'another salt');
  },
);

t.test('password: nothing, or a password for everybody to see, is refused', async (t) => {
  t.equal(hashOf('').status, 2);
  t.equal(hashOf('\nx').status, 2);
  t.match(hashOf('x', 'secret'), { status: 2, stderr: /standard input/ });
});
