// Somewhere to run test files where the kernel speaks TLS: this machine, when it does, or else user-mode Linux, a real
// kernel that runs as a process and sees the files of this machine (Debian's package user-mode-linux).
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findProgram, missingProgram } from './installed.js';

/** What became of one test file. */
export interface MachineRun {
  readonly file: string;
  /** Its output, TAP. */
  readonly output: string;
  /** Exit code; undefined when the file did not run to its end. */
  readonly status: number | undefined;
  /** What `/proc/net/tls_stat` counted meanwhile. */
  readonly tlsStat: Readonly<Record<string, number>>;
}

export interface Machine {
  /** For people: which kernel. */
  readonly name: string;
  /**
   * Runs compiled test files one after the other.
   * @param files absolute paths
   * @param deadlineMs for all of them together; what has not ended by then is killed
   */
  run(files: readonly string[], deadlineMs: number): Promise<readonly MachineRun[]>;
}

const root = fileURLToPath(new URL('../../../..', import.meta.url));
const statPath = '/proc/net/tls_stat';
const modules = '/usr/lib/uml/modules';

/** A machine whose kernel speaks TLS, or why there is none. */
export function tlsMachine(): Machine | string {
  if (hasKernelTls()) return new ThisMachine();
  const missing = missingProgram(['linux.uml', 'modprobe', 'ip']);
  if (missing !== undefined) return `this kernel has no TLS, and ${missing}`;
  if (!existsSync(modules)) return `this kernel has no TLS, and there is no ${modules}`;
  return new UserModeLinux();
}

/** The kernel module is there, or comes when it is asked for. */
export function hasKernelTls(): boolean {
  if (!existsSync(statPath)) spawnSync('modprobe', ['-q', 'tls']);
  return existsSync(statPath);
}

/** The counters of the kernel's TLS, by name; none where there is no such kernel. */
export function tlsStat(): Record<string, number> {
  return existsSync(statPath) ? parseStat(readFileSync(statPath, 'utf8')) : {};
}

function parseStat(text: string): Record<string, number> {
  const lines = text.trim().split('\n');
  return Object.fromEntries(
    lines
      .map((line) => line.trim().split(/\s+/))
      .map(([name, value]) => [name!, Number(value)] as const),
  );
}

function difference(before: string, after: string): Record<string, number> {
  const then = parseStat(before);
  return Object.fromEntries(
    Object.entries(parseStat(after)).map(([name, value]) => [name, value - (then[name] ?? 0)]),
  );
}

/** Runs the commands of `script` in a shell. */
class ThisMachine implements Machine {
  readonly name = 'this kernel';

  run(files: readonly string[], deadlineMs: number): Promise<readonly MachineRun[]> {
    return withDirectory(async (directory) => {
      const script = join(directory, 'run.sh');
      writeFileSync(script, `#!/bin/sh\n${commands(files, directory)}`);
      await finished(spawn('/bin/sh', [script], { detached: true, stdio: 'ignore' }), deadlineMs);
      return collect(files, directory);
    });
  }
}

/** Boots a kernel for the files, with the shell script as its first process, and powers it off. */
class UserModeLinux implements Machine {
  readonly name = 'user-mode Linux';

  /**
   * One such kernel has one processor: there are as many as there are processors here, two at most. Each takes the
   * next file that none has taken.
   */
  run(files: readonly string[], deadlineMs: number): Promise<readonly MachineRun[]> {
    return withDirectory(async (directory) => {
      const init = join(directory, 'init.sh');
      writeFileSync(init, this.init(files, directory));
      chmodSync(init, 0o755);
      const kernels = Array.from({ length: Math.min(2, availableParallelism()) }, () =>
        finished(this.boot(init, directory), deadlineMs),
      );
      await Promise.all(kernels);
      return collect(files, directory);
    });
  }

  private boot(init: string, directory: string): ChildProcess {
    return spawn(
      findProgram('linux.uml')!,
      [
        'mem=1G',
        'root=/dev/root',
        'rootfstype=hostfs',
        'rootflags=/',
        'rw',
        `init=${init}`,
        `uml_dir=${directory}`,
        'con=null',
        'con0=null,fd:1',
        'quiet',
      ],
      { detached: true, stdio: ['ignore', 'ignore', 'ignore'] },
    );
  }

  private init(files: readonly string[], directory: string): string {
    // /run is the place for what must not be written to this machine's disk: the path where modprobe
    // looks for modules, and the modprobe that the kernel calls for the parts of a cipher.
    return `#!/bin/sh
export PATH=${dirname(process.execPath)}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
${environment()}
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t tmpfs run /run
ip link set lo up
mkdir -p /run/kernel/lib
ln -s ${modules} /run/kernel/lib/modules
printf '#!/bin/sh\\nexec modprobe -d /run/kernel "$@"\\n' > /run/modprobe
chmod +x /run/modprobe
echo /run/modprobe > /proc/sys/kernel/modprobe
/run/modprobe -a tls gcm chacha20poly1305
${commands(files, directory)}
sync
echo o > /proc/sysrq-trigger
sleep 10
`;
  }
}

/** What the tests look at, and the machine's first process does not inherit. */
function environment(): string {
  return Object.entries(process.env)
    .filter(([name]) => /^(HEADGATE_\w+|TMPDIR|HOME)$/.test(name))
    .map(([name, value]) => `export ${name}=${quote(value ?? '')}`)
    .join('\n');
}

function commands(files: readonly string[], directory: string): string {
  const each = files.map((file, index) => {
    const at = join(directory, String(index));
    // mkdir(2) succeeds once, whoever asks.
    return `if mkdir ${at} 2> /dev/null; then
cat ${statPath} > ${at}.before
node ${quote(file)} > ${at}.tap 2>&1 < /dev/null
echo $? > ${at}.status
cat ${statPath} > ${at}.after
fi`;
  });
  return `unset NODE_OPTIONS\nexport HEADGATE_KERNEL_TLS=1 TAP_TIMEOUT=300\ncd ${quote(root)}\n${each.join('\n')}\n`;
}

function quote(text: string): string {
  return `'${text.replaceAll("'", `'\\''`)}'`;
}

function collect(files: readonly string[], directory: string): readonly MachineRun[] {
  return files.map((path, index) => {
    const read = (extension: string): string | undefined => {
      const name = join(directory, `${index}.${extension}`);
      return existsSync(name) ? readFileSync(name, 'utf8') : undefined;
    };
    const status = read('status');
    return {
      file: basename(path),
      output: read('tap') ?? '',
      status: status === undefined ? undefined : Number(status),
      tlsStat: difference(read('before') ?? '', read('after') ?? ''),
    };
  });
}

async function withDirectory<T>(use: (directory: string) => Promise<T>): Promise<T> {
  const directory = mkdtempSync(join(tmpdir(), 'headgate-machine-'));
  try {
    return await use(directory);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Waits for a process; at the deadline it is killed, with those it has started. */
function finished(child: ChildProcess, deadlineMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => process.kill(-child.pid!, 'SIGKILL'), deadlineMs);
    child.once('error', reject);
    child.once('exit', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
