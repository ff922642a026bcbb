// Where the suite of test/tls-suite runs: on any machine, where OpenSSL has the records, or inside a kernel with TLS
// (tls-machine.ts), where the kernel has them. Which of the two it was is proved by counters, for each case.
import type { Test } from 'tap';
import type { Statistics } from '#src/index.js';
import { tlsStat } from '../machine/tls-machine.js';
import { canRenewKeys, isKernelExpected } from '../tls/tls-server.js';

/** A proxy that ran during a case, in numbers. */
export interface ProxyRun {
  readonly statistics: Statistics;
  readonly workers: number;
}

export interface Place {
  readonly name: string;
  /** What listeners and upstreams are told about kernel TLS. */
  readonly kernel: 'off' | 'require';
  /** A system call takes fifty times as long as elsewhere: what is merely long may be shorter. */
  readonly isSlow: boolean;
  /** In access lines, the path of a long transfer. */
  readonly longPath: 'userland_tls' | 'mixed';
  /** A KeyUpdate is followed; it ends the connection otherwise. */
  readonly followsKeyUpdates: boolean;
  /**
   * To be called before a case.
   * @returns to be called after it: asserts who had the records of all connections there were
   */
  watch(): (t: Test, runs: readonly ProxyRun[]) => void;
}

/** From this length on a transfer is a long one, of which next to nothing is copied. */
const LONG_BYTES = 8 << 20;

const sides = ['client', 'upstream'] as const;
const ways = ['up', 'down'] as const;

/** Handshakes that both sides of all proxies have completed. */
function handshakesOf(runs: readonly ProxyRun[]) {
  return runs.flatMap(({ statistics: { tls } }) => sides.flatMap((side) => tls[side].handshakes));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((total, number) => total + number, 0);
}

/** Directions of connections that were left to OpenSSL, by reason. */
function refusalsOf({ tls }: Statistics): Record<string, number> {
  const refusals: Record<string, number> = {};
  for (const side of sides) {
    for (const way of ['tx', 'rx'] as const) {
      for (const [reason, count] of Object.entries(tls[side].kernelRefusals[way])) {
        refusals[reason] = (refusals[reason] ?? 0) + count;
      }
    }
  }
  return refusals;
}

const userland: Place = {
  name: 'userland',
  kernel: 'off',
  isSlow: false,
  longPath: 'userland_tls',
  followsKeyUpdates: true,
  watch() {
    return (t, runs) => {
      const inKernel = handshakesOf(runs).filter(({ kind }) => kind.kernelTx || kind.kernelRx);
      t.same(inKernel, [], 'no connection is the kernel’s');
      for (const { statistics } of runs) {
        const handshakes = sum(handshakesOf([{ statistics, workers: 1 }]).map((one) => one.count));
        t.same(refusalsOf(statistics), handshakes === 0 ? {} : { off: 2 * handshakes });
        for (const way of ways) {
          const { copyBytes, spliceBytes, userlandTlsBytes } = statistics[way];
          t.equal(copyBytes, 0, `${way}: every byte passes OpenSSL, ${userlandTlsBytes} in all`);
          // The first ones of many may have been in a pipe before OpenSSL got them.
          t.ok(spliceBytes <= userlandTlsBytes, `${spliceBytes} bytes by a pipe`);
        }
      }
    };
  },
};

const kernel: Place = {
  name: 'kernel',
  kernel: 'require',
  isSlow: true,
  longPath: 'mixed',
  followsKeyUpdates: canRenewKeys,
  watch() {
    const before = tlsStat();
    return (t, runs) => {
      const after = tlsStat();
      const grown = (name: string) => after[name]! - before[name]!;
      const handshakes = handshakesOf(runs);
      const all = sum(handshakes.map(({ count }) => count));
      const elsewhere = handshakes.filter(({ kind }) => !kind.kernelTx || !kind.kernelRx);
      t.same(elsewhere, [], `all ${all} connections are the kernel’s, both directions`);
      // A worker that has one asks, on a connection of its own, whether keys can be changed.
      const probesMax = sum(runs.map(({ workers }) => workers));
      const busy = runs.filter((run) => handshakesOf([run]).length > 0).length;
      for (const name of ['TlsTxSw', 'TlsRxSw']) {
        const count = grown(name);
        const isRight = count >= all + busy && count <= all + (busy === 0 ? 0 : probesMax);
        t.ok(isRight, `${name}: ${count} more, by ${all} handshakes in ${runs.length} proxies`);
      }
      const broken = sum(
        runs.flatMap(({ statistics: { tls } }) =>
          sides.map((side) => tls[side].endings.bad_record ?? 0),
        ),
      );
      t.equal(grown('TlsDecryptError'), broken, 'every record decrypts, but for what was damaged');
      for (const { statistics } of runs) {
        t.same(refusalsOf(statistics), {});
        for (const way of ways) {
          const direction = statistics[way];
          const { userlandTlsBytes, userlandTlsOperations, copyBytes, spliceBytes } = direction;
          t.same([userlandTlsBytes, userlandTlsOperations], [0, 0], 'nothing passes OpenSSL');
          const bytes = copyBytes + spliceBytes;
          if (bytes < LONG_BYTES) continue;
          // The beginning; and a little where the sender was so slow that it looked like small messages.
          t.ok(copyBytes <= bytes / 16, `${way}: ${copyBytes} of ${bytes} bytes were copied`);
        }
      }
    };
  },
};

/** Where this process is. */
export const place: Place = isKernelExpected ? kernel : userland;
