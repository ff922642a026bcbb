import { lstatSync, rmSync, symlinkSync } from 'node:fs';
import t, { type Test } from 'tap';
import { parseListenAddress } from '#src/config/index.js';
import { AdminEndpoint } from '#src/control/admin/admin-endpoint.js';
import { createKernel, Errno, type Kernel } from '#src/splice/index.js';
import { descriptors } from '#test/support/machine/descriptors.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const kernel = createKernel();

function bind(kernel: Kernel, text: string): Promise<AdminEndpoint> {
  const parsed = parseListenAddress(text);
  if (!parsed.ok) throw new Error(parsed.reason);
  return AdminEndpoint.bind(kernel, { bind: parsed.value, token: null, hosts: [] });
}

/** What is left of an endpoint that could not be had, and that it can be had afterwards. */
async function nothingIsLeft(
  t: Test,
  broken: Kernel,
  text: string,
  error: { message: string } | { code: string },
): Promise<void> {
  // The first one loads the server, and who knows what that opens.
  (await bind(kernel, '127.0.0.1:0')).close();
  const before = descriptors();
  await t.rejects(bind(broken, text), error);
  t.same(descriptors(), before, 'no descriptor is left');
  if (!text.includes('@')) {
    t.notOk(lstatSync(text.slice('unix:'.length), { throwIfNoEntry: false }), 'no file is left');
  }
  const endpoint = await bind(kernel, text);
  t.equal(endpoint.text, text);
  endpoint.close();
  t.same(descriptors(), before);
}

t.test('admin: a unix socket that cannot listen leaves nothing behind', async (t) => {
  const broken = { ...kernel, listen: () => -Errno.EADDRINUSE };
  const path = `unix:${temporaryDirectory(t)}/admin.sock`;
  await nothingIsLeft(t, broken, path, { message: `listen ${path}: EADDRINUSE` });
  const abstract = `unix:@headgate-admin-endpoint-${process.pid}`;
  await nothingIsLeft(t, broken, abstract, { message: `listen ${abstract}: EADDRINUSE` });
});

t.test('admin: a unix socket whose file cannot be protected leaves nothing behind', async (t) => {
  const path = `${temporaryDirectory(t)}/admin.sock`;
  // There is a file at its path, and its mode cannot be set: such a link is one, whoever runs this.
  const broken: Kernel = {
    ...kernel,
    bind: (...call) => {
      const result = kernel.bind(...call);
      rmSync(path);
      symlinkSync(`${path}.gone`, path);
      return result;
    },
  };
  await nothingIsLeft(t, broken, `unix:${path}`, { code: 'ENOENT' });
});
