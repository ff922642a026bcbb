// Web servers as upstreams: nginx, and Python's own.
import { mkdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import type { Test } from 'tap';
import { ByteStream } from '#test/support/bytes.js';
import { until } from '#test/support/deadline.js';
import { HttpRig, request } from '#test/support/http/http-rig.js';
import { findProgram, missingProgram, testWith } from '#test/support/machine/capability.js';
import { freePort } from '#test/support/peers/address.js';
import { Program } from '#test/support/programs/program.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 60_000 };
const sizes = [0, 1, 1000, 65_536, 1_000_000, 10_000_000];
const stream = new ByteStream(3);

function writeFiles(t: Test): string {
  const directory = temporaryDirectory(t);
  for (const size of sizes) writeFileSync(`${directory}/${size}`, stream.slice(0, size));
  return directory;
}

async function answers(port: number): Promise<boolean> {
  return request(`http://127.0.0.1:${port}/1`).then(
    ({ status }) => status === 200,
    () => false,
  );
}

async function untilAnswers(port: number): Promise<void> {
  let isThere = false;
  const timer = setInterval(async () => {
    isThere ||= await answers(port);
  }, 50);
  await until(5_000, 'the server answers', () => isThere);
  clearInterval(timer);
}

async function expectFiles(t: Test, rig: HttpRig, options: http.RequestOptions): Promise<void> {
  for (const size of sizes) {
    const { status, body } = await request(rig.url(`/${size}`), options);
    t.equal(status, 200);
    t.ok(body.equals(stream.slice(0, size)), `${size} bytes`);
    const head = await request(rig.url(`/${size}`), { ...options, method: 'HEAD' });
    t.equal(head.headers['content-length'], `${size}`);
  }
}

testWith(
  missingProgram(['nginx']),
  'http servers: nginx, that closes often',
  timeout,
  async (t) => {
    const root = writeFiles(t);
    const port = await freePort();
    const prefix = temporaryDirectory(t);
    mkdirSync(`${prefix}/tmp`);
    const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
      .map((name) => `${name}_temp_path ${prefix}/tmp/${name};`)
      .join('\n  ');
    writeFileSync(
      `${prefix}/nginx.conf`,
      `daemon off;
worker_processes 1;
pid ${prefix}/nginx.pid;
error_log stderr crit;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 100; }
http {
  access_log off;
  ${temporary}
  keepalive_requests 7;
  server {
    listen 127.0.0.1:${port};
    root ${root};
    location /chunked/ { alias ${root}/; ssi on; ssi_types *; }
    location /gone { return 204; }
    location /same { add_header ETag '"x"'; return 304; }
    location /moved { return 301 /1; }
  }
}
`,
    );
    Program.start(t, [findProgram('nginx')!, '-e', 'stderr', '-c', `${prefix}/nginx.conf`]);
    await untilAnswers(port);
    const rig = await HttpRig.start(t, () => {}, { endpoint: `127.0.0.1:${port}` });
    const agent = new http.Agent({ keepAlive: true, maxSockets: 8 });
    await expectFiles(t, rig, { agent });
    for (const size of sizes) {
      const { body } = await request(rig.url(`/chunked/${size}`), { agent });
      t.ok(body.equals(stream.slice(0, size)), `${size} bytes in chunks`);
    }
    t.equal((await request(rig.url('/gone'), { agent })).status, 204);
    t.equal((await request(rig.url('/same'), { agent })).status, 304);
    t.equal((await request(rig.url('/moved'), { agent })).status, 301);
    t.equal((await request(rig.url('/none'), { agent })).status, 404);
    const range = await request(rig.url('/1000000'), { agent, headers: { range: 'bytes=5-1004' } });
    t.equal(range.status, 206);
    t.ok(range.body.equals(stream.slice(5, 1000)));

    // Each seventh answer ends nginx's connection: the next request finds another one, or makes it.
    const all = await Promise.all(
      Array.from({ length: 700 }, () => request(rig.url('/1000'), { agent })),
    );
    t.equal(all.filter(({ status }) => status === 200).length, 700);
    agent.destroy();
  },
);

testWith(missingProgram(['python3']), 'http servers: Python, HTTP/1.0', timeout, async (t) => {
  const root = writeFiles(t);
  const port = await freePort();
  const python = findProgram('python3')!;
  const words = ['-m', 'http.server', '--bind', '127.0.0.1', '--directory', root, `${port}`];
  Program.start(t, [python, ...words]);
  await untilAnswers(port);
  const rig = await HttpRig.start(t, () => {}, { endpoint: `127.0.0.1:${port}` });
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  await expectFiles(t, rig, { agent });
  t.equal((await request(rig.url('/none'), { agent })).status, 404);
  const list = await request(rig.url('/'), { agent });
  t.match(`${list.body}`, /1000000/);
  agent.destroy();
});
