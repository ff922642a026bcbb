// HTTP clients that know nothing of the proxy: curl, Node's http, undici.

import { writeFileSync } from 'node:fs';
import http from 'node:http';
import t from 'tap';
import { Client } from 'undici';
import { ByteStream } from '#test/support/bytes.js';
import { bodyOf, HttpRig, request } from '#test/support/http/http-rig.js';
import { findProgram, missingProgram, testWith } from '#test/support/machine/capability.js';
import { runProgram } from '#test/support/programs/program.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 60_000 };
const large = new ByteStream(7).slice(0, 20_000_000);

/** Says what it was asked, and echoes bodies. */
const echo: http.RequestListener = async (request, response) => {
  if (request.url === '/large') {
    response.end(large);
    return;
  }
  if (request.url === '/large-chunked') {
    response.write(large.subarray(0, 1));
    response.end(large.subarray(1));
    return;
  }
  const body = await bodyOf(request);
  response.setHeader('x-method', request.method!);
  response.setHeader('x-length', request.headers['content-length'] ?? 'none');
  response.end(request.method === 'GET' ? `you asked for ${request.url}` : body);
};

testWith(missingProgram(['curl']), 'http clients: curl', timeout, async (t) => {
  const rig = await HttpRig.start(t, echo);
  const program = findProgram('curl')!;
  const curl = async (...args: string[]) => {
    const words = [program, '--silent', '--show-error', '--max-time', '15', ...args];
    return (await runProgram(words, 20_000)).stdout;
  };
  const file = `${temporaryDirectory(t)}/body`;
  writeFileSync(file, large);

  t.equal(`${await curl(rig.url('/a'), rig.url('/b'))}`, 'you asked for /ayou asked for /b');
  t.equal(rig.accepted, 1, 'over one connection to the origin');
  t.equal(`${await curl('--http1.0', rig.url('/c'))}`, 'you asked for /c');
  t.match(`${await curl('--head', rig.url('/d'))}`, /^HTTP\/1.1 200 OK\r\n.*x-method: HEAD/s);
  t.ok(large.equals(await curl(rig.url('/large'))), 'download');
  t.ok(large.equals(await curl(rig.url('/large-chunked'))), 'chunked download');
  t.ok(large.equals(await curl('--http1.0', rig.url('/large-chunked'))), 'to HTTP/1.0');
  const binary = ['--data-binary', `@${file}`];
  t.ok(large.equals(await curl(...binary, rig.url('/'))), 'upload, Expect: 100-continue');
  const chunked = ['--header', 'Transfer-Encoding: chunked', '--header', 'Expect:'];
  t.ok(large.equals(await curl(...chunked, ...binary, rig.url('/'))), 'chunked upload');
  t.ok(large.equals(await curl('--upload-file', file, rig.url('/'))), 'PUT');
  await rig.finish();
});

t.test('http clients: Node, many at once over few connections', timeout, async (t) => {
  const rig = await HttpRig.start(t, echo);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 20 });
  const stream = new ByteStream(11);
  const answers = await Promise.all(
    Array.from({ length: 600 }, async (_, index) => {
      const body = stream.slice(index * 1000, index * 37);
      const chunked = index % 2 === 0 ? { 'transfer-encoding': 'chunked' } : {};
      const options = { method: 'POST', agent, headers: { ...chunked, 'x-index': `${index}` } };
      const answer = await request(rig.url(`/${index}`), options, body);
      return answer.status === 200 && answer.body.equals(body);
    }),
  );
  t.equal(answers.filter(Boolean).length, 600);
  t.ok(rig.accepted <= 20, `${rig.accepted} connections to the origin`);
  agent.destroy();
  await rig.finish();
});

t.test('http clients: Node, trailers, early hints and 100 (Continue)', timeout, async (t) => {
  const rig = await HttpRig.start(t, (request, response) => {
    response.writeEarlyHints({ link: '</a.css>; rel=preload' });
    request.resume();
    request.on('end', () => {
      response.writeHead(200, { trailer: 'x-sum' });
      response.write('hello');
      response.addTrailers({ 'x-sum': '5', 'x-seen': `${request.trailers['x-up'] ?? ''}` });
      response.end();
    });
  });
  const events: string[] = [];
  const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
    const headers = {
      expect: '100-continue',
      'transfer-encoding': 'chunked',
      trailer: 'x-up',
    };
    const request = http.request(
      rig.url('/'),
      { method: 'POST', headers, agent: false },
      (response) => {
        response.resume();
        response.on('end', () => resolve(response));
      },
    );
    request.on('information', ({ statusCode }) => events.push(`${statusCode}`));
    request.on('continue', () => {
      events.push('continue');
      request.write('body');
      request.addTrailers({ 'x-up': 'yes' });
      request.end();
    });
    request.on('error', reject);
    request.flushHeaders();
  });
  t.same(answer.trailers, { 'x-sum': '5', 'x-seen': 'yes' });
  t.ok(events.includes('continue'), `${events}`);
  t.ok(events.includes('103'), `${events}`);
  await rig.finish();
});

t.test('http clients: undici, pipelining', timeout, async (t) => {
  const rig = await HttpRig.start(t, echo);
  const client = new Client(rig.url(''), { pipelining: 10 });
  const answers = await Promise.all(
    Array.from({ length: 500 }, async (_, index) => {
      const { statusCode, body } = await client.request({ path: `/${index}`, method: 'GET' });
      return statusCode === 200 && (await body.text()) === `you asked for /${index}`;
    }),
  );
  t.equal(answers.filter(Boolean).length, 500);
  t.equal(rig.accepted, 1);
  const upload = await client.request({ path: '/', method: 'PUT', body: large });
  t.ok(large.equals(Buffer.from(await upload.body.arrayBuffer())), 'upload');
  await client.close();
  await rig.finish();
});
