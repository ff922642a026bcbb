import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { type Check, diagnose } from '#src/control/index.js';
import { SyscallNumber } from '#src/splice/constants.js';
import { createKernel, Errno } from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import {
  missingIoUring,
  missingProgram,
  missingRoot,
  testWith,
} from '#test/support/machine/capability.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { forbidding } from '#test/support/machine/forbidden.js';
import { programPath } from '#test/support/programs/headgate.js';
import { withoutLoader } from '#test/support/programs/program.js';

const timeout = { timeout: 20_000 };

function headgate(...args: string[]) {
  const [command, ...rest] = withoutLoader([process.execPath, programPath, ...args]);
  return spawnSync(command!, rest, { encoding: 'utf8' });
}

t.test('doctor: what is needed is here, and what is opened is closed', async (t) => {
  diagnose(1);
  const before = descriptors();
  const checks = diagnose(1);
  t.same(descriptors(), before);
  const state = (name: string) => checks.find((check) => check.name === name)?.state;
  for (const name of ['splice', 'SO_REUSEPORT', 'open files', 'kernel', 'koffi']) {
    t.equal(state(name), 'ok', name);
  }
  for (const name of ['kernel TLS', 'MSG_ZEROCOPY', 'openat2', 'io_uring', 'pipe size']) {
    t.match(state(name), /^(ok|absent)$/, name);
  }
  t.equal(diagnose(10_000_000_000).find(({ name }) => name === 'open files')?.state, 'low');
});

t.test('doctor: a machine without splice will not do, one without io_uring will', async (t) => {
  const fail = () => -Errno.ENOSYS;
  const libc = new ScriptedLibc({ splice: fail, syscall: fail, io_uring_setup: fail });
  const checks = diagnose(1, createKernel(libc));
  const of = (wanted: string) => checks.find(({ name }) => name === wanted);
  t.match(of('splice'), { state: 'missing', detail: /ENOSYS/ });
  t.match(of('openat2'), { state: 'absent', detail: /ENOSYS/ });
  t.match(of('io_uring'), { state: 'absent', detail: /ENOSYS: a kernel before 5.1/ });
});

testWith(missingIoUring(), 'doctor: io_uring is tried', timeout, async (t) => {
  const of = (checks: Check[]) => checks.find(({ name }) => name === 'io_uring');
  t.match(of(diagnose(1)), { state: 'ok', detail: /many connections in one call/ });
  // There is one, but it does not know how to read (before Linux 5.6).
  const libc = new ScriptedLibc();
  const kernel = createKernel(libc);
  const before = descriptors();
  const old = { ...kernel, io_uring_enter: () => 0 };
  t.match(of(diagnose(1, old)), { state: 'absent', detail: /EOPNOTSUPP: a kernel before 5.6/ });
  t.same(descriptors(), before, 'and is closed again');
});

testWith(missingProgram(['python3']), 'doctor: says who forbids io_uring', timeout, async (t) => {
  const [command, ...rest] = [
    ...forbidding(SyscallNumber.io_uring_setup),
    ...withoutLoader([process.execPath, programPath, 'doctor']),
  ];
  const { stdout, status } = spawnSync(command!, rest, { encoding: 'utf8' });
  t.match(stdout, /^io_uring +- +EPERM: .*kernel.io_uring_disabled or a seccomp filter$/m);
  t.equal(status, 0, 'it goes without');
});

t.test('doctor: aligned text for people, JSON for programs', async (t) => {
  const { stdout, status } = headgate('doctor');
  t.equal(status, 0);
  t.match(stdout, /^splice +ok +socket → pipe → socket$/m);
  t.match(stdout, /^node +ok +v\d+/m);
  const json = headgate('doctor', '--json');
  t.equal(json.status, 0);
  const { ok, checks } = JSON.parse(json.stdout) as { ok: boolean; checks: Check[] };
  t.equal(ok, true);
  t.ok(checks.length >= 13);
  t.match(headgate('doctor', 'x'), { status: 2, stderr: /unexpected "x"/ });
});

testWith(missingRoot(), 'doctor: what cannot be read is no low limit', timeout, async (t) => {
  const hide = ['unshare', '-m', 'sh', '-c', 'mount -t tmpfs none /proc && exec "$@"', 'sh'];
  const [command, ...rest] = [
    ...hide,
    ...withoutLoader([process.execPath, programPath, 'doctor', '--json']),
  ];
  const { stdout, status } = spawnSync(command!, rest, { encoding: 'utf8' });
  t.equal(status, 0);
  const { checks } = JSON.parse(stdout) as { checks: Check[] };
  for (const name of ['pipe limits', 'open files', 'listen backlog']) {
    const check = checks.find((check) => check.name === name);
    t.match(check, { state: 'absent', detail: /^nobody can tell/ }, name);
  }
});

t.test('schema: prints what is published', async (t) => {
  const { stdout, status } = headgate('schema');
  t.equal(status, 0);
  const file = new URL('../../../config/schema.json', import.meta.url);
  t.strictSame(JSON.parse(stdout), JSON.parse(readFileSync(file, 'utf8')));
});
