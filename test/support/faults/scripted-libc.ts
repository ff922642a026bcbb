import { type Libc, loadLibc, type SyscallName, syscallNames } from '#src/splice/index.js';

/** A system call as the kernel answers it: a result ≥ 0, or a negative error number. */
export type Call = (...args: number[]) => number;

/**
 * What a test puts in the place of a call.
 * @param args what the call was given; splice(2) has its two offsets
 * @param real the call as the machine makes it
 */
export type Script = (args: readonly number[], real: Call) => number;

export interface Traced {
  readonly name: SyscallName;
  readonly args: readonly number[];
  /** ≥ 0, or a negative error number. */
  readonly result: number;
}

/** No test needs as many calls: more are a busy loop, which nothing else would end. */
const CALLS_MAX = 500_000;

/** The real C library, with any call replaced and all calls written down. */
export class ScriptedLibc implements Libc {
  readonly calls: Libc['calls'];
  readonly trace: Traced[] = [];
  private readonly scripts = new Map<SyscallName, Script>();
  private error = 0;

  constructor(scripts: Partial<Record<SyscallName, Script>> = {}) {
    const real = loadLibc();
    for (const [name, script] of Object.entries(scripts)) {
      this.scripts.set(name as SyscallName, script);
    }
    const wrap = (name: SyscallName) => {
      const realCall: Call = (...args) => {
        const result = real.calls[name](...args);
        return result < 0 ? -real.errno() : result;
      };
      return (...args: number[]): number => {
        if (this.trace.length === CALLS_MAX) throw new Error(`a busy loop around ${name}`);
        const script = this.scripts.get(name);
        const result = script === undefined ? realCall(...args) : script(args, realCall);
        this.trace.push({ name, args, result });
        if (result >= 0) return result;
        this.error = -result;
        return -1;
      };
    };
    this.calls = Object.fromEntries(
      syscallNames.map((name) => [name, wrap(name)]),
    ) as unknown as Libc['calls'];
  }

  readonly errno = (): number => this.error;

  /** Puts `script` in the place of a call from now on; nothing puts the real one back. */
  script(name: SyscallName, script?: Script): void {
    if (script === undefined) this.scripts.delete(name);
    else this.scripts.set(name, script);
  }

  /** The next calls fail, one with each of the error numbers; later ones are real again. */
  fail(name: SyscallName, ...errnos: number[]): void {
    const left = [...errnos];
    this.scripts.set(name, (args, real) => {
      const errno = left.shift();
      return errno === undefined ? real(...args) : -errno;
    });
  }

  /** Calls made so far. */
  count(name: SyscallName): number {
    return this.trace.filter((traced) => traced.name === name).length;
  }
}
