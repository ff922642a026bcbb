// Network namespaces (ip-netns(8)) with random names, joined by veth pairs, always deleted with the test that made them.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import type { Test } from 'tap';
import { findProgram, missingProgram, missingRoot } from './capability.js';

/** The reason for a skip when namespaces cannot be made here. */
export function missingNamespaces(): string | undefined {
  const missing = missingRoot() ?? missingProgram(['ip']);
  if (missing !== undefined) return missing;
  const name = randomName();
  try {
    ip('netns', 'add', name);
    ip('netns', 'del', name);
    return undefined;
  } catch (error) {
    return `ip netns add fails: ${(error as Error).message.trim()}`;
  }
}

function randomName(): string {
  return `headgate-${randomBytes(4).toString('hex')}`;
}

function ip(...args: string[]): void {
  execFileSync(findProgram('ip')!, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 5_000 });
}

export class Namespace {
  readonly name = randomName();

  private constructor() {
    ip('netns', 'add', this.name);
  }

  /** A new namespace with its loopback up; deleted when `t` is over, or with the process. */
  static create(t: Test): Namespace {
    const namespace = new Namespace();
    const remove = () => {
      process.off('exit', remove);
      ip('netns', 'del', namespace.name);
    };
    process.on('exit', remove);
    t.teardown(remove);
    namespace.run(findProgram('ip')!, 'link', 'set', 'lo', 'up');
    return namespace;
  }

  /** What to put in front of a command to run it inside; it becomes the command by exec(2). */
  get prefix(): readonly string[] {
    return [findProgram('ip')!, 'netns', 'exec', this.name];
  }

  /** Runs a short command inside. @throws Error with its stderr when it fails. */
  run(...command: string[]): void {
    const [first, ...rest] = [...this.prefix, ...command];
    execFileSync(first!, rest, { stdio: ['ignore', 'pipe', 'pipe'], timeout: 5_000 });
  }
}

/** Two namespaces joined by a veth pair: 10.77.0.1 in the first, 10.77.0.2 in the second. */
export function joinedNamespaces(t: Test, mtuBytes: number): [Namespace, Namespace] {
  const pair: [Namespace, Namespace] = [Namespace.create(t), Namespace.create(t)];
  const [one, other] = pair;
  ip(
    'link',
    'add',
    'veth0',
    'netns',
    one.name,
    'type',
    'veth',
    'peer',
    'name',
    'veth0',
    'netns',
    other.name,
  );
  for (const [index, namespace] of pair.entries()) {
    const command = findProgram('ip')!;
    namespace.run(command, 'address', 'add', `10.77.0.${index + 1}/24`, 'dev', 'veth0');
    // One segment a packet: otherwise a veth hands over 64 KiB at a time, and the MTU means nothing.
    namespace.run(
      command,
      'link',
      'set',
      'veth0',
      'mtu',
      String(mtuBytes),
      'gso_max_segs',
      '1',
      'up',
    );
  }
  return pair;
}
