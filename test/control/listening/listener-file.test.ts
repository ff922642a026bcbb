import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import t from 'tap';
import { type BoundAddress, removeListenerFile } from '#src/control/listening/listening.js';

t.test('listening: a socket file of the service manager is not ours to remove', async (t) => {
  const directory = mkdtempSync(`${tmpdir()}/headgate-test-`);
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const path = `${directory}/socket`;
  writeFileSync(path, '');
  const bound = (isInherited: boolean) =>
    ({ address: { family: 'unix', path }, isInherited }) as BoundAddress;
  removeListenerFile(bound(true));
  t.ok(existsSync(path));
  removeListenerFile(bound(false));
  t.notOk(existsSync(path));
});
