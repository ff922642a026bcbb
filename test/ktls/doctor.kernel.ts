import { release } from 'node:os';
import t from 'tap';
import { diagnose } from '#src/control/index.js';
import { createKernel } from '#src/splice/index.js';
import { canRenewKernelKeys, kernelCiphers } from '#src/tls/index.js';
import { descriptors } from '#test/support/machine/descriptors.js';

t.test('doctor: each cipher in each version, and both directions', async (t) => {
  diagnose(1);
  const before = descriptors();
  const checks = diagnose(1);
  t.same(descriptors(), before);
  const of = (wanted: string) => checks.find(({ name }) => name.trim() === wanted);
  t.match(of('kernel TLS'), { state: 'ok' });
  for (const { name } of Object.values(kernelCiphers)) {
    for (const version of ['1.2', '1.3']) {
      t.match(of(`${name} ${version}`), { state: 'ok', detail: 'send yes, receive yes' });
    }
  }
  const canRenew = canRenewKernelKeys(createKernel());
  t.equal(of('KeyUpdate')?.state, canRenew ? 'ok' : 'absent');
  // user-mode Linux of Debian 12 is 6.1; keys can be changed from 6.14 on.
  const [major, minor] = release().split('.').map(Number) as [number, number];
  t.equal(canRenew, major > 6 || (major === 6 && minor >= 14));
});
