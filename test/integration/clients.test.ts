// Programs that know nothing of the proxy work through it unchanged: iperf3, curl, Redis and PostgreSQL.
import { createHash } from 'node:crypto';
import { chownSync } from 'node:fs';
import http from 'node:http';
import type net from 'node:net';
import type { Test } from 'tap';
import { ByteStream } from '../support/bytes.js';
import {
  findProgram,
  missingProgram,
  missingRoot,
  postgresDirectory,
  testWith,
} from '../support/machine/capability.js';
import type { OpenFiles } from '../support/machine/proc.js';
import { freePort } from '../support/peers/address.js';
import { type Headgate, startHeadgate } from '../support/programs/headgate.js';
import { expectNoLeak } from '../support/programs/leak.js';
import { Program, runProgram } from '../support/programs/program.js';
import { expectCleanExit, temporaryDirectory } from '../support/programs/rig.js';

const timeout = { timeout: 60_000 };

interface Proxy {
  readonly headgate: Headgate;
  readonly before: OpenFiles;
}

async function startProxy(t: Test, upstream: string): Promise<Proxy> {
  const headgate = await startHeadgate([
    ...['tcp', '127.0.0.1:0', upstream, '--workers', '2', '--access-log'],
  ]);
  t.teardown(() => headgate.kill());
  return { headgate, before: headgate.openFiles() };
}

async function finish(t: Test, { headgate, before }: Proxy): Promise<void> {
  await expectNoLeak(headgate, before, { workers: 2 });
  await expectCleanExit(t, headgate);
}

testWith(
  missingProgram(['iperf3']),
  'clients: iperf3, 1 and 4 streams, both ways',
  timeout,
  async (t) => {
    const iperf3 = findProgram('iperf3')!;
    const port = String(await freePort());
    const server = Program.start(t, [iperf3, '-s', '-B', '127.0.0.1', '-p', port, '--forceflush']);
    let runs = 0;
    // It takes one test at a time, and says so once the last one is over.
    const isFree = () => server.output(new RegExp(`(Server listening[^]*){${++runs}}`), 5_000);
    const proxy = await startProxy(t, `127.0.0.1:${port}`);
    const target = ['-c', '127.0.0.1', '-p', String(proxy.headgate.port), '-J', '-t', '1'];
    let flows = 0;
    for (const streams of [1, 4]) {
      for (const reverse of [[], ['-R']]) {
        await isFree();
        const run = [iperf3, ...target, '-P', String(streams), ...reverse];
        const { stdout } = await runProgram(run, 15_000);
        const { end } = JSON.parse(stdout.toString());
        const mbits = end.sum_received.bits_per_second / 1e6;
        t.ok(mbits > 200, `${streams} streams ${reverse.join('')}: ${mbits.toFixed()} Mbit/s`);
        flows += streams + 1;
      }
    }
    t.equal((await proxy.headgate.flowsEnded(flows)).length, flows);
    await finish(t, proxy);
  },
);

testWith(missingProgram(['curl']), 'clients: curl, keep-alive and 100 MB', timeout, async (t) => {
  const content = new ByteStream(13).slice(0, 100_000_000);
  const server = http.createServer((request, response) => {
    response.end(request.url === '/large' ? content : `you asked for ${request.url}`);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.teardown(() => server.close());
  const { port } = server.address() as net.AddressInfo;
  const proxy = await startProxy(t, `127.0.0.1:${port}`);
  const curl = [findProgram('curl')!, '--silent', '--show-error', '--fail', '--max-time', '15'];
  const at = (path: string) => `http://${proxy.headgate.address}${path}`;

  const kept = [...curl, '--write-out', ' %{num_connects}\\n', ...['/1', '/2', '/3'].map(at)];
  const lines = (await runProgram(kept, 20_000)).stdout.toString().trim().split('\n');
  const answers = [1, 2, 3].map((index) => `you asked for /${index} ${index === 1 ? 1 : 0}`);
  t.strictSame(lines, answers, 'three answers over one connection');

  const { stdout } = await runProgram([...curl, at('/large')], 20_000);
  const hash = (data: Buffer) => createHash('sha256').update(data).digest('hex');
  t.equal(hash(stdout), hash(content), '100 MB are exact');
  server.closeAllConnections();
  t.equal((await proxy.headgate.flowsEnded(2)).length, 2);
  await finish(t, proxy);
});

const redisPrograms = ['redis-server', 'redis-benchmark'];
testWith(missingProgram(redisPrograms), 'clients: redis-benchmark', timeout, async (t) => {
  const port = String(await freePort());
  const directory = temporaryDirectory(t);
  const options = ['--save', '', '--appendonly', 'no', '--dir', directory, '--bind', '127.0.0.1'];
  const redis = [findProgram('redis-server')!, '--port', port, ...options];
  await Program.start(t, redis).output(/[Rr]eady to accept connections/, 5_000);
  const proxy = await startProxy(t, `127.0.0.1:${port}`);
  const target = ['-h', '127.0.0.1', '-p', String(proxy.headgate.port)];
  const load = ['-n', '20000', '-c', '50', '--csv'];
  const commands = 'ping_inline,set,get,lrange_100,mset';
  for (const shape of [
    ['-t', commands],
    ['-t', commands, '-P', '16'],
    ['-t', 'set,get', '-d', '20000', '-P', '4'],
  ]) {
    const run = [findProgram('redis-benchmark')!, ...target, ...load, ...shape];
    const { stdout } = await runProgram(run, 30_000);
    const tests = [...stdout.toString().matchAll(/^"(\w+)[^"]*","([\d.]+)"/gm)];
    const rates = tests.map(([, name, rate]) => `${name} ${Number(rate).toFixed()}/s`);
    t.ok(tests.length >= 2, `${shape.slice(2).join(' ')}: ${rates.join(', ')}`);
  }
  await finish(t, proxy);
});

const postgresMissing =
  missingProgram(['initdb', 'postgres', 'pgbench'], postgresDirectory()) ??
  (missingRoot() === undefined ? missingProgram(['setpriv']) : undefined);
testWith(postgresMissing, 'clients: pgbench against PostgreSQL', timeout, async (t) => {
  const server = await startPostgres(t);
  const proxy = await startProxy(t, `127.0.0.1:${server.port}`);
  const { prefix } = server;
  const pgbench = [...prefix, findProgram('pgbench', postgresDirectory())!];
  const target = [
    '-h',
    '127.0.0.1',
    '-p',
    String(proxy.headgate.port),
    '-U',
    'postgres',
    'postgres',
  ];
  await runProgram([...pgbench, '-i', '-q', '-s', '1', ...target], 30_000);
  for (const mode of [[], ['-M', 'extended'], ['-C', '-S']]) {
    const load = ['-c', '8', '-j', '2', '-T', '3', '-n'];
    const { stdout } = await runProgram([...pgbench, ...load, ...mode, ...target], 30_000);
    const report = stdout.toString();
    const [, rate] = /^tps = ([\d.]+)/m.exec(report) ?? [];
    t.ok(Number(rate) > 20, `pgbench ${mode.join(' ')}: ${rate} transactions a second`);
    t.match(report, /number of failed transactions: 0/);
  }
  await finish(t, proxy);
});

/** A PostgreSQL of our own in a temporary directory. It refuses root: then it runs as user postgres. */
async function startPostgres(t: Test): Promise<{ port: number; prefix: string[] }> {
  const programs = postgresDirectory();
  const directory = temporaryDirectory(t);
  const prefix: string[] = [];
  if (missingRoot() === undefined) {
    const id = async (option: string) =>
      Number((await runProgram(['id', option, 'postgres'], 5_000)).stdout.toString());
    const [uid, gid] = [await id('-u'), await id('-g')];
    chownSync(directory, uid, gid);
    prefix.push(
      findProgram('setpriv')!,
      '--reuid',
      `${uid}`,
      '--regid',
      `${gid}`,
      '--clear-groups',
    );
  }
  const data = `${directory}/data`;
  const initdb = [
    '-D',
    data,
    '-U',
    'postgres',
    '-A',
    'trust',
    '--no-sync',
    '-E',
    'UTF8',
    '--locale',
    'C',
  ];
  await runProgram([...prefix, `${programs}/initdb`, ...initdb], 30_000);
  const port = await freePort();
  const settings = [
    'fsync=off',
    `unix_socket_directories=${directory}`,
    'listen_addresses=127.0.0.1',
  ];
  const options = settings.flatMap((setting) => ['-c', setting]);
  const postgres = [...prefix, `${programs}/postgres`, '-D', data, '-p', String(port), ...options];
  // SIGINT is PostgreSQL's fast shutdown: it does not wait for its clients.
  await Program.start(t, postgres, 'SIGINT').output(/ready to accept connections/, 15_000);
  return { port, prefix };
}
