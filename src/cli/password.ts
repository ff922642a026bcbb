import { randomBytes, scryptSync } from 'node:crypto';
import { text } from 'node:stream/consumers';
import { parseOptions, UsageError } from './options.js';

const usage = `headgate password

Reads a password from standard input, up to the end of the first line, and prints its hash for
basic_auth:

  headgate password < secret.txt
`;

/** 4 MiB and some milliseconds for each guess: RFC 7914 §2, OWASP's least is more, but this runs in a worker. */
const LN = 12;
const SALT_BYTES = 16;
const HASH_BYTES = 32;

/** Prints a password's hash in the PHC string format. */
export async function password(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, { help: { type: 'boolean', short: 'h' } });
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  if (positionals.length > 0) {
    throw new UsageError('the password is read from standard input, not from the command line');
  }
  const [line = ''] = (await text(process.stdin)).split(/\r?\n/);
  if (line === '') throw new UsageError('no password on standard input');
  const salt = randomBytes(SALT_BYTES);
  const hash = scryptSync(line, salt, HASH_BYTES, { N: 2 ** LN, r: 8, p: 1 });
  process.stdout.write(`$scrypt$ln=${LN},r=8,p=1$${base64(salt)}$${base64(hash)}\n`);
  return 0;
}

/** Without padding. */
function base64(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '');
}
