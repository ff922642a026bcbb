// What a program asks of the kernel, counted by strace: calls, and bytes that they carry into it or out of it.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';

const timeoutMs = 10_000;

/** Those whose result is a number of bytes in the program's own memory. */
const carrying =
  /^(?:read|readv|pread64|recv|recvfrom|recvmsg|write|writev|pwrite64|send|sendto|sendmsg)$/;

/** No system calls where the kernel has a vDSO, which user-mode Linux has not. */
const clock = /^(?:clock_gettime|gettimeofday|time)$/;

export interface Trace {
  /** By name. */
  readonly calls: ReadonlyMap<string, number>;
  readonly total: number;
  /** Read into memory, and written from it. */
  readonly bytes: number;
}

/** Counts the calls of a process, its threads and its children while `work` goes on. */
export async function traceCalls(
  pid: number,
  file: string,
  work: () => Promise<void>,
): Promise<Trace> {
  const processes = family(pid);
  const args = ['-f', '-o', file, ...processes.flatMap((member) => ['-p', String(member)])];
  const strace = spawn('strace', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const ended = once(strace, 'exit');
  try {
    await attached(strace, processes.length);
    await work();
  } finally {
    strace.kill('SIGINT');
    await ended;
  }
  return readTrace(readFileSync(file, 'latin1'));
}

/** A process and those that descend from it. /proc/PID/children is not in every kernel. */
function family(pid: number): number[] {
  const members = [pid];
  const all = readdirSync('/proc').filter((name) => /^\d+$/.test(name));
  const parents = new Map(all.map((name) => [Number(name), parentOf(name)]));
  for (const member of members) {
    for (const [child, parent] of parents) if (parent === member) members.push(child);
  }
  return members;
}

function parentOf(pid: string): number {
  try {
    // After the command name, which may contain spaces: the state, then the parent.
    return Number(readFileSync(`/proc/${pid}/stat`, 'latin1').split(') ').pop()!.split(' ')[1]);
  } catch {
    return 0;
  }
}

async function attached(strace: ChildProcess, count: number): Promise<void> {
  let said = '';
  strace.stderr!.setEncoding('latin1').on('data', (text: string) => {
    said += text;
  });
  const deadline = performance.now() + timeoutMs;
  // It says so once for each process, when it has its threads.
  while ([...said.matchAll(/ attached/g)].length < count) {
    if (strace.exitCode !== null || performance.now() > deadline)
      throw new Error(`strace: ${said}`);
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}

/** Lines are `PID name(arguments) = result`; a call that another thread cut in two counts where it ends. */
function readTrace(text: string): Trace {
  const calls = new Map<string, number>();
  let total = 0;
  let bytes = 0;
  for (const line of text.split('\n')) {
    const [, name, result] = /^\d+ +(?:<\.\.\. )?(\w+)(?:\(| resumed).* = (-?\d+)/.exec(line) ?? [];
    if (name === undefined || clock.test(name)) continue;
    calls.set(name, (calls.get(name) ?? 0) + 1);
    total++;
    if (carrying.test(name)) bytes += Math.max(0, Number(result));
  }
  return { calls, total, bytes };
}
