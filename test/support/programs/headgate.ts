// The program under test as a child process: started, watched through stdout, stderr and /proc, and always ended.
// With HEADGATE_TEST_STANDIN=1 a forwarder made of Node streams takes its place (standin.ts).
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { until, within } from '../deadline.js';
import {
  cpuSeconds,
  type OpenFiles,
  openFiles,
  residentBytes,
  threadCount,
} from '../machine/proc.js';
import { withoutLoader } from './program.js';

const root = fileURLToPath(new URL('../../../../', import.meta.url));
export const standin = process.env.HEADGATE_TEST_STANDIN === '1';
export const programPath = `${root}${standin ? 'build/test/support/programs/standin.js' : 'dist/cli.js'}`;

/** A line of the log, pino's JSON. */
export interface LogLine {
  readonly level: number;
  readonly msg: string;
  readonly [field: string]: unknown;
}

/** The line that ends a flow, with --access-log. */
export interface FlowLine extends LogLine {
  readonly listener: string;
  readonly client: string;
  readonly upstream: string;
  readonly endpoint: string;
  readonly bytes_up: number;
  readonly bytes_down: number;
  readonly path_up: 'none' | 'copy' | 'splice' | 'mixed';
  readonly path_down: 'none' | 'copy' | 'splice' | 'mixed';
  readonly duration_ms: number;
  readonly close: string;
}

export interface HeadgateOptions {
  /** Limit of open files, soft and hard; as inherited when absent. */
  readonly filesMax?: number;
  /** Command put in front: `ip netns exec NAME`, `setpriv …`. It has to end in exec(2), so that the pid is headgate's. */
  readonly prefix?: readonly string[];
  /** Another copy of the program. */
  readonly program?: string;
}

export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export class Headgate {
  readonly pid: number;
  /** Where it listens, spelled as on the command line, with the port given by the kernel. */
  readonly address: string;
  /** The child's end; never rejects. */
  readonly exit: Promise<Exit>;
  readonly logs: LogLine[];
  /** The end, once it has come. */
  exited: Exit | undefined;
  readonly #child: ChildProcess;
  readonly #output: Output;

  constructor(child: ChildProcess, output: Output, exit: Promise<Exit>, address: string) {
    this.pid = child.pid!;
    this.address = address;
    this.logs = output.logs;
    this.#child = child;
    this.#output = output;
    this.exit = exit;
    exit.then((end) => {
      this.exited = end;
    });
  }

  get port(): number {
    return Number(/:(\d+)$/.exec(this.address)?.[1]);
  }

  /** Everything the child has said, to be shown with a failure. */
  readonly context = (): string => this.#output.describe();

  openFiles(): OpenFiles {
    return openFiles(this.pid);
  }

  threadCount(): number {
    return threadCount(this.pid);
  }

  cpuSeconds(): number {
    return cpuSeconds(this.pid);
  }

  residentBytes(): number {
    return residentBytes(this.pid);
  }

  /** CPU time used, all threads, while `durationMs` goes by. */
  async cpuSecondsDuring(durationMs: number): Promise<number> {
    const before = this.cpuSeconds();
    await new Promise((resolve) => setTimeout(resolve, durationMs));
    return this.cpuSeconds() - before;
  }

  /** Lines of flows that have ended, oldest first; needs --access-log. */
  flows(): FlowLine[] {
    return this.logs.filter((line) => line.msg === 'flow') as FlowLine[];
  }

  /** The lines of the first `count` flows, once they have all ended. */
  async flowsEnded(count: number, timeoutMs = 5_000): Promise<FlowLine[]> {
    await until(
      timeoutMs,
      `${count} flow lines in the log`,
      () => this.flows().length >= count,
      () => this.context(),
    );
    return this.flows();
  }

  signal(name: NodeJS.Signals): void {
    if (this.exited === undefined) process.kill(this.pid, name);
  }

  /** Ends it in order with SIGTERM. @throws when it has not exited within `timeoutMs`. */
  async stop(timeoutMs = 5_000): Promise<Exit> {
    this.signal('SIGTERM');
    return within(timeoutMs, 'headgate exits after SIGTERM', this.exit, this.context);
  }

  /** Ends it with SIGKILL; harmless when it is gone. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.exit;
  }
}

/** Lines of the child's stdout and stderr as they come. */
class Output {
  readonly lines: string[] = [];
  readonly logs: LogLine[] = [];
  readonly #stderr: string[] = [];

  constructor(child: ChildProcess) {
    eachLine(child.stdout!, (line) => this.lines.push(line));
    eachLine(child.stderr!, (line) => {
      this.#stderr.push(line);
      if (line.startsWith('{')) this.logs.push(JSON.parse(line) as LogLine);
    });
  }

  describe(): string {
    const omitted = this.#stderr.length - 40;
    const shown =
      omitted > 0 ? [`(${omitted} lines left out)`, ...this.#stderr.slice(-40)] : this.#stderr;
    return ['headgate wrote:', ...this.lines, ...shown].join('\n  ');
  }
}

function eachLine(stream: NodeJS.ReadableStream, take: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop()!;
    for (const line of lines) take(line);
  });
  stream.on('end', () => {
    if (rest !== '') take(rest);
  });
}

const running = new Set<ChildProcess>();

function killRunning(): void {
  for (const child of running) child.kill('SIGKILL');
}
process.once('exit', killRunning);
for (const name of ['SIGTERM', 'SIGINT'] as const) {
  process.once(name, () => {
    killRunning();
    process.exit(1);
  });
}

/**
 * Starts `headgate ARGS…` and waits until it listens (10 s).
 * @throws Error with all it wrote when it exits or does not listen.
 */
export async function startHeadgate(
  args: readonly string[],
  options: HeadgateOptions = {},
): Promise<Headgate> {
  const words = withoutLoader([
    ...(options.prefix ?? []),
    ...[process.execPath, options.program ?? programPath, ...args],
  ]);
  const [command, ...rest] =
    options.filesMax === undefined
      ? words
      : ['sh', '-c', `ulimit -n ${options.filesMax} && exec "$@"`, 'sh', ...words];
  const child = spawn(command!, rest, { stdio: ['ignore', 'pipe', 'pipe'] });
  const output = new Output(child);
  running.add(child);
  let ended = false;
  const exit = new Promise<Exit>((resolve) => {
    const end = (end: Exit) => {
      ended = true;
      running.delete(child);
      resolve(end);
    };
    // "close", not "exit": by then stdout and stderr have been read to their ends.
    child.once('close', (code, signal) => end({ code, signal }));
    child.once('error', () => end({ code: null, signal: null }));
  });
  try {
    const line = await until(
      10_000,
      'headgate listens',
      () => output.lines.find((line) => line.startsWith('listening ')) ?? (ended ? 'exited' : ''),
      () => output.describe(),
    );
    const address = /^listening \S+ (?:tcp|https?) (\S+)$/.exec(line)?.[1];
    if (address === undefined) throw new Error(`no listener: ${line}\n${output.describe()}`);
    return new Headgate(child, output, exit, address);
  } catch (error) {
    child.kill('SIGKILL');
    throw error;
  }
}
