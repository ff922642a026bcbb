// What /proc tells about a process: its open files, its threads, its CPU time (proc_pid_fd(5), proc_pid_stat(5)).
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

export interface OpenFiles {
  readonly sockets: number;
  /** Ends of pipes: a pipe counts twice. */
  readonly pipes: number;
  /** epoll, eventfd, files: whatever is neither socket nor pipe. */
  readonly others: number;
}

/** Counts the open files of process `pid` by kind; an fd closed while counting is left out. */
export function openFiles(pid: number): OpenFiles {
  const count = { sockets: 0, pipes: 0, others: 0 };
  for (const fd of readdirSync(`/proc/${pid}/fd`)) {
    const target = readTarget(`/proc/${pid}/fd/${fd}`);
    if (target === undefined) continue;
    if (target.startsWith('socket:')) count.sockets++;
    else if (target.startsWith('pipe:')) count.pipes++;
    else count.others++;
  }
  return count;
}

function readTarget(link: string): string | undefined {
  try {
    return readlinkSync(link);
  } catch {
    return undefined;
  }
}

/** Threads of process `pid`. */
export function threadCount(pid: number): number {
  return readdirSync(`/proc/${pid}/task`).length;
}

/** User and system CPU time of process `pid`, all threads, in seconds; the kernel counts in 10 ms. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The command, field 2, may hold blanks and parentheses: count the fields behind its last one.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Resident memory of process `pid`, in bytes. */
export function residentBytes(pid: number): number {
  const line = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
  return Number(line?.[1] ?? 0) * 1024;
}

/** The most memory process `pid` has had resident, in bytes; 0 for one that is gone. */
export function peakResidentBytes(pid: number): number {
  try {
    const line = /^VmHWM:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'));
    return Number(line?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

/** Whether every thread has stopped: SIGSTOP reaches one of them first, and the others may go on for a moment. */
export function isStopped(pid: number): boolean {
  const threads = readdirSync(`/proc/${pid}/task`);
  return threads.every((id) =>
    /\) [Tt] /.test(readFileSync(`/proc/${pid}/task/${id}/stat`, 'utf8')),
  );
}

/** Parts of this process's memory that are queues of io_uring(7). Node itself has some, in some of its releases. */
export function ringMappings(): number {
  return readFileSync('/proc/self/maps', 'latin1').split('io_uring').length - 1;
}
