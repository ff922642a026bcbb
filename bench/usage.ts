// What a process and its descendants have used, from proc(5): processor time and memory.
import { readdirSync, readFileSync } from 'node:fs';

/** Processor time since each process started, at one moment. */
export interface CpuSample {
  processes: Map<number, { threadsNs: Map<string, bigint>; ticks: number }>;
}

export interface Memory {
  /** Resident pages, each process's shared pages counted in full. */
  rssBytes: number;
  /** Resident pages, shared ones divided by the number of processes that share them: adds up over a tree. */
  pssBytes: number;
}

/** USER_HZ: fixed at 100 for every architecture Node runs on (`getconf CLK_TCK`). */
const ticksPerSecond = 100;
/** stat truncates user and system time to a tick each, in both samples. */
const tickErrorSeconds = 4 / ticksPerSecond;

/** `pid` and its descendants, parents first; empty once it has ended. */
export function processTree(pid: number): number[] {
  const tree = [pid];
  for (const parent of tree) {
    for (const thread of list(`/proc/${parent}/task`)) {
      const children = read(`/proc/${parent}/task/${thread}/children`).split(' ');
      tree.push(...children.filter(Boolean).map(Number));
    }
  }
  return read(`/proc/${pid}/stat`) === '' ? [] : tree;
}

/**
 * Processor time of `pid` and its descendants, two ways: schedstat of every thread (nanoseconds, but a thread
 * takes its count with it when it ends) and stat of the process (10 ms ticks, ended threads included).
 */
export function sampleCpu(pid: number): CpuSample {
  const processes: CpuSample['processes'] = new Map();
  for (const member of processTree(pid)) {
    const threadsNs = new Map<string, bigint>();
    for (const thread of list(`/proc/${member}/task`)) {
      const [onCpu] = read(`/proc/${member}/task/${thread}/schedstat`).split(' ');
      if (onCpu) threadsNs.set(thread, BigInt(onCpu));
    }
    // After the command name, which may contain spaces: utime and stime are fields 14 and 15 of the line.
    const fields = read(`/proc/${member}/stat`).split(') ').pop()!.split(' ');
    processes.set(member, { threadsNs, ticks: Number(fields[11] ?? 0) + Number(fields[12] ?? 0) });
  }
  return { processes };
}

/**
 * Seconds of processor time used between two samples of the same tree. Exact to the scheduler's tick as long as
 * no thread ended in between; where one did (or the kernel has no schedstat) the coarser count is the larger,
 * and is used.
 */
export function cpuSecondsBetween(before: CpuSample, after: CpuSample): number {
  let seconds = 0;
  for (const [pid, end] of after.processes) {
    const begin = before.processes.get(pid);
    let fineNs = 0n;
    for (const [thread, ns] of end.threadsNs) fineNs += ns - (begin?.threadsNs.get(thread) ?? 0n);
    const fine = Number(fineNs) / 1e9;
    const coarse = (end.ticks - (begin?.ticks ?? 0)) / ticksPerSecond;
    seconds += coarse - fine > tickErrorSeconds ? coarse : fine;
  }
  return seconds;
}

/** Memory of `pid` and its descendants now, from smaps_rollup. Kernel memory (sockets, pipes) is in neither number. */
export function memoryOf(pid: number): Memory {
  const memory = { rssBytes: 0, pssBytes: 0 };
  for (const member of processTree(pid)) {
    const rollup = read(`/proc/${member}/smaps_rollup`);
    memory.rssBytes += kibibytes(rollup, 'Rss') * 1024;
    memory.pssBytes += kibibytes(rollup, 'Pss') * 1024;
  }
  return memory;
}

/** The open-file limit of this process, which the programs it starts inherit; Node has raised it to the hard limit. */
export function openFilesMax(): number {
  const [, soft] = /^Max open files\s+(\S+)/m.exec(read('/proc/self/limits')) ?? [];
  return soft === undefined || soft === 'unlimited' ? Number.MAX_SAFE_INTEGER : Number(soft);
}

/** The machine and this benchmark at one moment, in seconds of processor time. */
export interface MachineSample {
  atMs: number;
  busySeconds: number;
  ownSeconds: number;
}

/** Taken when no program of the benchmark runs: those that have ended are then counted as this process's children. */
export function sampleMachine(): MachineSample {
  // user nice system idle iowait irq softirq steal; guest time is contained in user.
  const [all] = read('/proc/stat').split('\n');
  const [user, nice, system, , , irq, softirq, steal] = all!.split(/\s+/).slice(1).map(Number);
  const busy = user! + nice! + system! + irq! + softirq! + steal!;
  // utime, stime, cutime and cstime: fields 14 to 17.
  const own = read('/proc/self/stat').split(') ').pop()!.split(' ').slice(11, 15).map(Number);
  return {
    atMs: performance.now(),
    busySeconds: busy / ticksPerSecond,
    ownSeconds: own.reduce((sum, ticks) => sum + ticks, 0) / ticksPerSecond,
  };
}

/** Processors that everything else on the machine, and its hypervisor, kept busy between two samples. */
export function coresBusyElsewhere(before: MachineSample, after: MachineSample): number {
  const busy = after.busySeconds - before.busySeconds;
  const own = after.ownSeconds - before.ownSeconds;
  return Math.max(0, (busy - own) / ((after.atMs - before.atMs) / 1000));
}

function kibibytes(text: string, key: string): number {
  return Number(new RegExp(`^${key}:\\s+(\\d+) kB$`, 'm').exec(text)?.[1] ?? 0);
}

/** Processes and threads end while they are looked at: nothing there is an empty answer, not an error. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8').trim();
  } catch {
    return '';
  }
}

function list(path: string): string[] {
  try {
    return readdirSync(path);
  } catch {
    return [];
  }
}
