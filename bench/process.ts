// The programs a benchmark starts: every one by pid, each with a bound on its time, none left behind.
import { type ChildProcess, spawn } from 'node:child_process';
import { setTimeout as delay } from 'node:timers/promises';
import { processTree } from './usage.js';

/** A program to start. `cpus` is a list for `taskset -c` ("1", "0,2-3"); without it the scheduler decides. */
export interface Command {
  program: string;
  args: readonly string[];
  cpus?: string | undefined;
}

/** What a program that ran to its end left behind. `status` is null when a signal ended it. */
export interface Finished {
  status: number | null;
  stdout: string;
  stderr: string;
  commandLine: string;
}

const stopTimeoutMs = 5_000;
/** Output kept of a program that runs in the background: enough for its last words. */
const tailCharactersMax = 16 * 1024;

/** Every program that is running now. Emptied by their exits, or by `killEverything`. */
const running = new Set<Child>();

/** A program running in the background. Ends with `stop()`, or at the end of an `await using` block. */
export class Child implements AsyncDisposable {
  readonly pid: number;
  readonly commandLine: string;
  /** Settles when the program has ended and its output was read. Never rejects. */
  readonly ended: Promise<void>;
  #process: ChildProcess;
  #output = '';
  #hasEnded = false;

  /** The caller has seen `spawn` succeed: `process.pid` is known. */
  constructor(process: ChildProcess, commandLine: string) {
    this.#process = process;
    this.pid = process.pid!;
    this.commandLine = commandLine;
    const keep = (text: string) => {
      this.#output = (this.#output + text).slice(-tailCharactersMax);
    };
    process.stdout?.setEncoding('utf8').on('data', keep);
    process.stderr?.setEncoding('utf8').on('data', keep);
    this.ended = new Promise((resolve) => {
      process.once('close', () => {
        this.#hasEnded = true;
        running.delete(this);
        resolve();
      });
    });
    running.add(this);
  }

  /** The end of what it printed, stdout and stderr as they came. */
  get output(): string {
    return this.#output;
  }

  /** Throws, with the program's last words, when it has ended: its measurement means nothing. */
  assertRunning(): void {
    if (this.#hasEnded) throw new Error(`ended too early: ${this.commandLine}\n${this.#output}`);
  }

  /** Waits until `ready` is true, asking every 10 ms. Throws when the program ends or time is up. */
  async until(ready: () => boolean, timeoutMs: number): Promise<void> {
    const deadline = performance.now() + timeoutMs;
    while (!ready()) {
      this.assertRunning();
      if (performance.now() > deadline) {
        throw new Error(`not ready in ${timeoutMs} ms: ${this.commandLine}\n${this.#output}`);
      }
      await delay(10);
    }
  }

  /** SIGTERM, and after 5 s SIGKILL to it and to whatever it started. */
  async stop(): Promise<void> {
    const tree = this.#hasEnded ? [] : processTree(this.pid);
    if (!this.#hasEnded) this.#process.kill('SIGTERM');
    const timer = setTimeout(() => killTree(tree), stopTimeoutMs);
    await this.ended;
    clearTimeout(timer);
  }

  /** SIGKILL to it and its descendants, now; for the exit handler, which cannot wait. */
  kill(): void {
    if (!this.#hasEnded) killTree(processTree(this.pid));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.stop();
  }
}

/** Starts a program in the background. Throws when it cannot be started at all. */
async function start(command: Command): Promise<Child> {
  const { process, commandLine } = await spawned(command);
  return new Child(process, commandLine);
}

/**
 * Starts a program in the background and waits until `ready` is true. Throws, and leaves nothing running, when the
 * program ends before that or time is up.
 */
export async function startUntil(
  ready: (child: Child) => boolean,
  command: Command,
  timeoutMs: number,
): Promise<Child> {
  const child = await start(command);
  try {
    await child.until(() => ready(child), timeoutMs);
    return child;
  } catch (error) {
    await child.stop();
    throw error;
  }
}

/** Runs a program to its end. Throws when it cannot be started, or when it takes longer than `timeoutMs`. */
export async function run(command: Command, timeoutMs: number): Promise<Finished> {
  const { process, commandLine } = await spawned(command);
  const child = new Child(process, commandLine);
  let stdout = '';
  let stderr = '';
  process.stdout?.on('data', (text: string) => {
    stdout += text;
  });
  process.stderr?.on('data', (text: string) => {
    stderr += text;
  });
  let timedOut = false;
  const timer = setTimeout(() => {
    timedOut = true;
    child.kill();
  }, timeoutMs);
  await child.ended;
  clearTimeout(timer);
  if (timedOut) throw new Error(`killed after ${timeoutMs} ms: ${commandLine}\n${child.output}`);
  return { status: process.exitCode, stdout, stderr, commandLine };
}

/** The first line `program args` prints, or null when there is no such program. */
export async function firstLine(program: string, ...args: string[]): Promise<string | null> {
  try {
    const { stdout, stderr } = await run({ program, args }, 5_000);
    return `${stdout}${stderr}`.trim().split('\n')[0]!;
  } catch {
    return null;
  }
}

/** From here on an interrupt or an exit of this process kills what it started, by pid, and nothing else. */
export function killEverythingAtExit(): void {
  process.once('exit', () => {
    for (const child of running) child.kill();
  });
  for (const [signal, number] of [
    ['SIGINT', 2] as const,
    ['SIGTERM', 15] as const,
    ['SIGHUP', 1] as const,
  ]) {
    process.once(signal, () => process.exit(128 + number));
  }
}

async function spawned(command: Command): Promise<{ process: ChildProcess; commandLine: string }> {
  const words = [command.program, ...command.args];
  if (command.cpus !== undefined) words.unshift('taskset', '-c', command.cpus);
  const process = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] });
  await new Promise<void>((resolve, reject) => {
    process.once('spawn', resolve);
    process.once('error', reject);
  });
  return { process, commandLine: words.join(' ') };
}

/** The root first, so that it cannot replace the descendants that follow. */
function killTree(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // Already gone.
    }
  }
}
