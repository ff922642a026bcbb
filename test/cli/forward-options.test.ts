// Options of `headgate tcp` and `headgate http` go through the schema of files. What is wrong with them is said in the
// words of the command line: nobody has seen the keys they stand for.
import { parseArgs } from 'node:util';
import t from 'tap';
import { forwardConfig, forwardOptions } from '#src/cli/forward-options.js';

function refusal(...args: string[]): string {
  const { values } = parseArgs({ args, options: forwardOptions });
  try {
    forwardConfig('http', ['127.0.0.1:0', '127.0.0.1:80'], values);
  } catch (error) {
    return (error as Error).message;
  }
  return '';
}

t.test('options: what is wrong is said of the option', async (t) => {
  t.equal(refusal(), '');
  t.equal(refusal('--max-connections', '5'), '');
  for (const [option, wrong, ...rest] of [
    ['--connect-timeout', 'x'],
    ['--idle-timeout', '5'],
    ['--drain-timeout', '1d'],
    ['--max-connections', 'x'],
    ['--max-connections', '1e3'],
    ['--log-level', 'x'],
    ['--proxy-protocol', 'v3'],
    ['--tls-cert', '/dev/null', '--tls-key', '/dev/null'],
    ['--tls-key', '/dev/null', '--tls-cert', '/dev/null'],
    ['--tls-self-signed', '??'],
    ['--upstream-ca', '/nowhere', '--upstream-tls'],
    ['--upstream-name', 'a_b!', '--upstream-tls'],
  ] as const) {
    const text = refusal(option, wrong, ...rest);
    t.ok(text.includes(`${option} is "${wrong}"`), text);
    t.notMatch(text, /command line|listeners|upstreams|timeouts|limits/);
  }
});
