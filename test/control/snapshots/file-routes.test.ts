import t from 'tap';
import { loadConfig } from '#src/config/index.js';
import { checkFileRoutes } from '#src/control/snapshots/file-routes.js';
import { createKernel, Errno } from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { descriptors } from '#test/support/machine/descriptors.js';

function configOf(action: string) {
  const loaded = loadConfig(
    `listeners: { web: { bind: "127.0.0.1:0", http: { routes: [{ ${action} }] } } }`,
  );
  if (!loaded.ok) throw new Error(loaded.problems[0]!.message);
  return loaded.config;
}

const files = configOf('files: { root: . }');

t.test('file routes: a kernel that cannot hold files inside a directory is refused', async (t) => {
  for (const errno of ['ENOSYS', 'EPERM'] as const) {
    const kernel = createKernel(new ScriptedLibc({ syscall: () => -Errno[errno] }));
    t.throws(() => checkFileRoutes(files, kernel), new RegExp(`openat2: ${errno}: .*Linux 5\\.6`));
    t.doesNotThrow(() => checkFileRoutes(configOf('respond: { status: 200 }'), kernel));
  }
});

t.test('file routes: this kernel will do, and nothing stays open', async (t) => {
  const before = descriptors();
  t.doesNotThrow(() => checkFileRoutes(files, createKernel()));
  t.same(descriptors(), before);
});
