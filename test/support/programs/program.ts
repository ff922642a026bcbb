// Other people's programs as children: run to the end, or kept running beside a test.
import { type ChildProcess, spawn } from 'node:child_process';
import type { Test } from 'tap';
import { within } from '../deadline.js';

/**
 * `command` without the loader that tap puts into the NODE_OPTIONS of every child, whatever environment it is given: it
 * opens files, slows the start and writes a report at the end, which another user may not do. env(1) becomes the command
 * by exec(2).
 */
export function withoutLoader(command: readonly string[]): string[] {
  return ['env', '-u', 'NODE_OPTIONS', ...command];
}

export interface Finished {
  readonly stdout: Buffer;
  readonly stderr: string;
}

/**
 * Runs `command` to its end.
 * @throws Error with its stderr when it exits with anything but 0, DeadlineExceeded when it takes longer; it is killed then.
 */
export async function runProgram(words: readonly string[], timeoutMs: number): Promise<Finished> {
  const [command, ...args] = withoutLoader(words);
  const child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const stdout: Buffer[] = [];
  let stderr = '';
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk;
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', (code, signal) => {
      const said = `${Buffer.concat(stdout).toString().slice(-2_000)}\n${stderr.slice(-2_000)}`;
      if (code === 0) resolve();
      else reject(new Error(`${words.join(' ')}: exit ${code ?? signal}\n${said}`));
    });
  });
  try {
    await within(timeoutMs, `${words[0]} ends`, ended, () => stderr);
  } finally {
    child.kill('SIGKILL');
  }
  return { stdout: Buffer.concat(stdout), stderr };
}

/** A program that runs until the test is over. */
export class Program {
  readonly #child: ChildProcess;
  #output = '';
  readonly #command: string;
  readonly #ended: Promise<void>;

  constructor(child: ChildProcess, command: string) {
    this.#child = child;
    this.#command = command;
    for (const stream of [child.stdout!, child.stderr!]) {
      stream.on('data', (chunk: Buffer) => {
        this.#output += chunk;
      });
    }
    this.#ended = new Promise((resolve) => {
      child.once('close', () => resolve());
      child.once('error', (error) => {
        this.#output += error.message;
        resolve();
      });
    });
  }

  /** Starts `command`; `endSignal` is sent when `t` is over, SIGKILL 3 s later. */
  static start(t: Test, words: readonly string[], endSignal: NodeJS.Signals = 'SIGTERM'): Program {
    const [command, ...args] = withoutLoader(words);
    const child = spawn(command!, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    const program = new Program(child, words[0]!);
    const kill = () => child.kill('SIGKILL');
    process.once('exit', kill);
    child.once('close', () => process.off('exit', kill));
    t.teardown(() => program.end(endSignal));
    return program;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Waits until its output, stdout or stderr, has a match of `pattern`. @throws when it ends or time is up before. */
  async output(pattern: RegExp, timeoutMs: number): Promise<RegExpExecArray> {
    const what = `${this.#command} writes ${pattern}`;
    const found = async () => {
      for (;;) {
        const match = pattern.exec(this.#output);
        if (match !== null) return match;
        const { exitCode, signalCode } = this.#child;
        if (exitCode !== null || signalCode !== null || this.pid === undefined) {
          throw new Error(`${this.#command} has ended:\n${this.#output}`);
        }
        await new Promise((resolve) => setTimeout(resolve, 10));
      }
    };
    return within(timeoutMs, what, found(), () => this.#output);
  }

  async end(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    this.#child.kill(signal);
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), 3_000);
    await this.#ended;
    clearTimeout(timer);
  }
}
