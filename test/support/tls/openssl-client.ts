// `openssl s_client` that is spoken to; it trusts the authority of tls-kit.ts and asks for a.test unless told.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Test } from 'tap';
import { until, within } from '../deadline.js';
import { withoutLoader } from '../programs/program.js';
import { authority, kit } from './tls-kit.js';

export class OpensslClient {
  output = '';
  private readonly child;
  /** It has gone, perhaps before anybody waited, and all of its output is here. */
  private readonly gone: Promise<unknown>;

  constructor(t: Test, port: number, ...options: string[]) {
    authority();
    const [command, ...args] = withoutLoader([
      ...['openssl', 's_client', '-connect', `127.0.0.1:${port}`],
      ...(options.includes('-noservername') ? [] : ['-servername', 'a.test']),
      ...['-CAfile', kit.path('authority.pem'), '-verify_return_error', ...options],
    ]);
    this.child = spawn(command!, args, { stdio: 'pipe' });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream.on('data', (chunk: Buffer) => {
        this.output += chunk.toString('latin1');
      });
    }
    this.gone = once(this.child, 'close');
    this.child.stdin.on('error', () => {});
    t.teardown(() => this.child.kill('SIGKILL'));
  }

  async says(pattern: RegExp): Promise<void> {
    await until(
      10_000,
      `s_client writes ${pattern}`,
      () => pattern.test(this.output),
      () => this.output,
    );
  }

  write(text: string, encoding: BufferEncoding = 'utf8'): void {
    this.child.stdin.write(text, encoding);
  }

  /** Has it close as well as it can, whatever there is to say. */
  stop(): void {
    this.child.kill('SIGTERM');
  }

  /** Ends its input, and waits until it has gone and all of its output is here. */
  async end(): Promise<void> {
    this.child.stdin.end();
    await within(10_000, 's_client ends', this.gone, () => this.output);
  }
}
