/**
 * The command line: one file per subcommand, each a function from its arguments to an exit code.
 */
import { readFileSync } from 'node:fs';
import { closestWord } from '../config/index.js';
import { capture } from './capture.js';
import { check } from './check.js';
import { doctor } from './doctor.js';
import { http } from './http.js';
import { UsageError } from './options.js';
import { watchOutput } from './output.js';
import { password } from './password.js';
import { run } from './run.js';
import { schema } from './schema.js';
import { tcp } from './tcp.js';

const commands = { run, tcp, http, check, doctor, capture, schema, password } as const;

const usage = `headgate: a zero-copy reverse proxy for Linux

  headgate run   [-c headgate.yaml] [--workers N]   run a configuration
  headgate tcp   LISTEN UPSTREAM [options]          forward one address, without a file
  headgate http  LISTEN UPSTREAM [options]          the same for HTTP, request by request
  headgate check -c headgate.yaml                   validate a configuration, exit 0 or 1
  headgate doctor [--json]                          what this machine offers, each thing tried
  headgate capture list|show|export                 what listeners have captured
  headgate schema                                   the JSON Schema of the configuration
  headgate password < FILE                          hash a password for basic_auth
  headgate --version

  headgate COMMAND --help says more.
`;

/**
 * @param args the command line without node and script
 * @returns the exit code: 0 after a clean stop, 1 on a failure that has been printed, 2 on a
 *   command line that makes no sense
 */
export async function main(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  watchOutput();
  if (name === undefined || name === '--help' || name === '-h' || name === 'help') {
    (name === undefined ? process.stderr : process.stdout).write(usage);
    return name === undefined ? 2 : 0;
  }
  if (name === '--version' || name === '-v') {
    const file = new URL('../../package.json', import.meta.url);
    process.stdout.write(`${JSON.parse(readFileSync(file, 'utf8')).version}\n`);
    return 0;
  }
  if (!Object.hasOwn(commands, name)) {
    const meant = closestWord(name, Object.keys(commands));
    const question = meant === null ? '' : `, did you mean "${meant}"?`;
    process.stderr.write(`headgate: no command "${name}"${question}\n\n${usage}`);
    return 2;
  }
  try {
    return await commands[name as keyof typeof commands](rest);
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    process.stderr.write(`headgate ${name}: ${error.message}; headgate ${name} --help says more\n`);
    return 2;
  }
}
