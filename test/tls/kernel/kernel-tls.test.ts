import t from 'tap';
import { createKernel, Errno } from '#src/splice/index.js';
import {
  alertName,
  attachKernelTls,
  installKey,
  KernelTlsRefusal,
  kernelCiphers,
  kernelSuite,
  kernelTlsRefusals,
  keyRefusal,
  probeKernelTls,
  TlsEnding,
  TlsVersion,
  tlsEndings,
} from '#src/tls/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { socketTest } from '#test/support/sockets/socket-kit.js';
import { KernelTlsEmulation } from '#test/support/tls/kernel-tls-emulation.js';

/** `NotOffered` as `not_offered`. */
const snake = (name: string): string =>
  name.replace(/(?<=.)[A-Z]/g, (letter) => `_${letter}`).toLowerCase();

t.test('kernel TLS: every number has its name', async (t) => {
  t.same(Object.keys(KernelTlsRefusal).map(snake), kernelTlsRefusals);
  t.same(Object.values(KernelTlsRefusal), [...kernelTlsRefusals.keys()]);
  t.same(Object.keys(TlsEnding).map(snake), tlsEndings);
  t.same(Object.values(TlsEnding), [...tlsEndings.keys()]);
  t.same(
    [alertName(0), alertName(42), alertName(1)],
    ['close_notify', 'bad_certificate', 'alert_1'],
  );
});

t.test('kernel TLS: what the kernel answers has a name', async (t) => {
  const attach = (errno: number): KernelTlsRefusal =>
    attachKernelTls(createKernel(new ScriptedLibc({ setsockopt: () => -errno })), 1);
  const { None, NoModule, NotTcp, Closed, Memory, NotOffered } = KernelTlsRefusal;
  t.equal(attach(0), None);
  t.equal(attach(Errno.EEXIST), None, 'it is attached already');
  t.equal(attach(Errno.ENOENT), NoModule);
  t.equal(attach(Errno.ENOPROTOOPT), NoModule, 'older than TCP_ULP');
  t.equal(attach(Errno.EOPNOTSUPP), NotTcp);
  t.equal(attach(Errno.ENOTCONN), Closed);
  t.equal(attach(Errno.ENOMEM), Memory);
  t.equal(attach(Errno.EPERM), KernelTlsRefusal.Error);
  for (const errno of [Errno.ENOENT, Errno.EINVAL, Errno.EOPNOTSUPP, Errno.ENOPROTOOPT]) {
    t.equal(keyRefusal(-errno), NotOffered);
  }
  t.equal(keyRefusal(0), None);
  t.equal(keyRefusal(-Errno.ENOMEM), Memory);
  t.equal(keyRefusal(-Errno.EBUSY), KernelTlsRefusal.Error);
});

t.test('kernel TLS: a key that was handed over is overwritten', async (t) => {
  const kernel = createKernel(new ScriptedLibc({ setsockopt: () => 0 }));
  const key = { key: Buffer.alloc(16, 1), iv: Buffer.alloc(12, 2) };
  t.equal(installKey(kernel, 1, 1, kernelSuite(0x1301)!, key, 0), 0);
  t.ok(key.key.equals(Buffer.alloc(16)));
  t.ok(key.iv.equals(Buffer.alloc(12)));
});

socketTest('kernel TLS: a unix socket has none', async (t, kit) => {
  t.equal(attachKernelTls(kit.kernel, kit.pair('unix').near), KernelTlsRefusal.NotTcp);
});

socketTest('kernel TLS: a probe waits for its connection to be made', async (t) => {
  const { None } = KernelTlsRefusal;
  for (const canRenewKeys of [false, true]) {
    const { kernel, libc } = new KernelTlsEmulation({ canRenewKeys });
    const probe = () => probeKernelTls(kernel, kernelCiphers.aes256Gcm, TlsVersion.Tls13);
    t.match(probe(), { tx: None, rx: None, canRenewKeys });
    const waits = libc.trace.filter(({ name }) => name === 'poll').map(({ args }) => args[2]!);
    t.equal(waits.length, 2, 'one for each direction');
    t.ok(waits.every((timeoutMs) => timeoutMs > 0));
    // Nothing happens in time: poll(2) leaves the events empty.
    libc.script('poll', () => 0);
    t.match(probe(), { tx: KernelTlsRefusal.Error, canRenewKeys: false });
  }
});
