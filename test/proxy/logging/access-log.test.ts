import t from 'tap';
import { AccessLog, JsonLines, LineMemory } from '#src/proxy/logging/index.js';

function rig() {
  const heard = { log: 0, file: 0 };
  const linesTo = (where: 'log' | 'file') => {
    const memory = new LineMemory(1024);
    return new JsonLines({ memory, lineWritten: () => heard[where]++ });
  };
  const accessLog = new AccessLog(linesTo('log'), linesTo('file'), { write: () => {} });
  return { heard, accessLog };
}

t.test('access log: lines are of level info, unless they have a file of their own', async (t) => {
  const { heard, accessLog } = rig();
  for (const level of ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent']) {
    accessLog.configure({ level, access: true });
    accessLog.json?.write({}, 'flow');
    t.equal(accessLog.isHeard, accessLog.json !== undefined, level);
  }
  t.same(heard, { log: 3, file: 0 });
  for (const level of ['debug', 'error']) {
    accessLog.configure({ level, access: true, accessFile: 'json' });
    accessLog.json?.write({}, 'flow');
    t.ok(accessLog.isHeard, level);
  }
  t.same(heard, { log: 3, file: 2 });
});

t.test(
  'access log: the combined format is for requests, all else is told by the log',
  async (t) => {
    const { accessLog } = rig();
    accessLog.configure({ level: 'info', access: true, accessFile: 'combined' });
    t.ok(accessLog.json && accessLog.combined);
    accessLog.configure({ level: 'warn', access: true, accessFile: 'combined' });
    t.equal(accessLog.json, undefined);
    t.ok(accessLog.isHeard, 'of requests');
    accessLog.configure({ level: 'warn', access: true });
    t.equal(accessLog.combined, undefined);
    t.notOk(accessLog.isHeard);
  },
);
