// Static files over kernel TLS through a whole worker: the page cache goes into the TLS socket.
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { Agent, request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import t from 'tap';
import { PUMP_SLOTS, PumpSlot } from '#src/splice/index.js';
import { type ServerTlsSettings, TlsVersion } from '#src/tls/index.js';
import { until, within } from '#test/support/deadline.js';
import { fileHttp } from '#test/support/http/files-rig.js';
import { payload } from '#test/support/random.js';
import { authority, certificate } from '#test/support/tls/tls-kit.js';
import { DataWorker } from '#test/support/worker/data-worker.js';

const timeout = { timeout: 40_000 };
const large = payload(1, 6_000_011);
const small = payload(2, 3000);
const sha = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

async function all(message: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk as Buffer);
  return Buffer.concat(chunks);
}

for (const version of ['Tls12', 'Tls13'] as const) {
  t.test(`kernel TLS: files, whole and in parts, ${version}`, timeout, async (t) => {
    const root = mkdtempSync(join(tmpdir(), 'headgate-files-'));
    t.teardown(() => rmSync(root, { recursive: true }));
    writeFileSync(join(root, 'large'), large);
    writeFileSync(join(root, 'small'), small);
    const tls: ServerTlsSettings = {
      minVersion: TlsVersion[version],
      maxVersion: TlsVersion[version],
      kernel: 'require',
      certificates: [certificate(['a.test'])],
      alpn: ['http/1.1'],
      ticketKeys: [randomBytes(80)],
    };
    const worker = new DataWorker({
      ...{ tls, http: fileHttp(root) },
      endpoints: [{ family: 'inet', host: '127.0.0.1', port: 9 }],
    });
    await worker.ready;
    const agent = new Agent({ keepAlive: true, maxSockets: 1, ca: authority() });
    const ask = async (path: string, headers = {}): Promise<Buffer> => {
      const address = { host: '127.0.0.1', port: worker.tcpPort, servername: 'a.test' };
      const asked = request({ ...address, agent, path, headers });
      const answer = once(asked, 'response');
      asked.end();
      const [response] = await within(15_000, 'an answer', answer);
      return within(15_000, 'a body', all(response));
    };
    t.ok((await ask('/small')).equals(small));
    t.equal(sha(await ask('/large')), sha(large));
    const part = await ask('/large', { range: 'bytes=100001-5000000' });
    t.equal(sha(part), sha(large.subarray(100_001, 5_000_001)));
    const parts = await ask('/large', { range: 'bytes=0-9, 1000000-3000000' });
    t.ok(parts.includes(large.subarray(1_000_000, 3_000_001)));
    t.ok((await ask('/small')).equals(small), 'the connection goes on');
    agent.destroy();
    await until(5000, 'every connection ends', () => worker.count('flows_active') === 0);
    await worker.stop();
    const { down, secureDown } = worker.counters;
    const sent = large.length + part.length + 10 + 2_000_001;
    t.equal(down[PumpSlot.SendfileBytes], sent, 'no byte of the large file came here');
    t.same([...secureDown], Array(PUMP_SLOTS).fill(0), 'nothing passes OpenSSL');
    t.equal(worker.count('exceptions'), 0);
    t.equal(worker.count('files_open'), 0);
  });
}
