// The combined format against whom it is from: the same bytes through nginx and through headgate.
import { scryptSync } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type http from 'node:http';
import net from 'node:net';
import type { Test } from 'tap';
import { until } from '#test/support/deadline.js';
import { HttpRig } from '#test/support/http/http-rig.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { startNginx } from '#test/support/programs/nginx.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 30_000 };

/** What a client sends, byte for byte, and how it ends. */
interface Case {
  readonly name: string;
  readonly bytes: string;
  /** Answers to wait for. */
  readonly answers?: number;
  /** `reset`: as soon as the origin has the request; `fin`: at once. */
  readonly ends?: 'reset' | 'fin';
  /** The answer is ours, with our words: its length is not compared. */
  readonly isOwn?: boolean;
}

const head = (lines: string) => `${lines.trim().split('\n').join('\r\n')}\r\n\r\n`;
const get = (path: string, fields = '') => head(`GET ${path} HTTP/1.1\nHost: a.example\n${fields}`);

const cases: readonly Case[] = [
  { name: 'plain', bytes: get('/10', 'User-Agent: curl/8\nReferer: http://b.example/?x=1') },
  { name: 'HEAD', bytes: head('HEAD /10 HTTP/1.1\nHost: a.example') },
  { name: 'quotes and backslashes', bytes: get('/5', 'User-Agent: a "b" \\c\nReferer: "\\"') },
  {
    name: 'UTF-8 and a tab',
    bytes: get('/5', 'User-Agent: caf\xc3\xa9\tau lait \xf0\x9f\x98\x80'),
  },
  { name: 'empty fields', bytes: get('/5', 'User-Agent:\nReferer:') },
  { name: 'quotes in the target', bytes: get('/5?q="b"&c=\\d%22%C3%A9') },
  { name: 'absolute form', bytes: head('GET http://a.example/5?x HTTP/1.1\nHost: a.example') },
  { name: 'not found', bytes: get('/none') },
  { name: 'no content', bytes: get('/empty') },
  { name: 'not modified', bytes: get('/same') },
  { name: 'chunks', bytes: get('/chunked') },
  { name: 'much', bytes: get('/300000') },
  { name: 'HTTP/1.0', bytes: head('GET /7 HTTP/1.0\nHost: a.example') },
  { name: 'HTTP/1.0 and chunks', bytes: head('GET /chunked HTTP/1.0\nHost: a.example') },
  {
    name: 'upload',
    bytes: `${head('POST /3 HTTP/1.1\nHost: a.example\nContent-Length: 5')}12345`,
  },
  { name: 'method nobody knows', bytes: head('PURGE /3 HTTP/1.1\nHost: a.example') },
  {
    name: 'pipelined',
    bytes: [1, 2, 3].map((size) => get(`/${size}?pipelined`)).join(''),
    answers: 3,
  },
  {
    name: 'password',
    bytes: get('/5/private', `Authorization: Basic ${btoa('m"\xc3\xbcl:right')}`),
  },
  { name: 'gone before the answer', bytes: get('/never'), ends: 'reset' },
  { name: 'no HTTP', bytes: '\x16\x03\x01\x02\x00\x01"\\\r\nmore\r\n', isOwn: true },
  { name: 'no version', bytes: 'GET /\r\n', isOwn: true, ends: 'fin' },
  { name: 'half a head', bytes: 'GET /half HTTP/1.1\r\nHost: a.exa', ends: 'fin' },
  { name: 'slow head', bytes: 'GET /slow HTTP/1.1\r\nHost: a.exa', isOwn: true },
];

/** HTTP/0.9 is something to nginx, and it answers. */
const withoutPeer = ['no version'];

function handler(request: http.IncomingMessage, response: http.ServerResponse): void {
  const [, name] = /^\/(\w+)/.exec(request.url!) ?? [];
  request.resume();
  if (name === 'never') return;
  if (name === 'empty') response.writeHead(204).end();
  else if (name === 'same') response.writeHead(304).end();
  else if (name === 'none') response.writeHead(404).end('not here');
  else if (name === 'chunked') response.write('twelve bytes', () => response.end());
  else response.end('x'.repeat(Number(name ?? 0)));
}

/** Sends what the case says, and waits until the other side hangs up. */
async function play(port: number, origin: () => number, one: Case): Promise<void> {
  const before = origin();
  const socket = net.connect({ host: '127.0.0.1', port, allowHalfOpen: true });
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  socket.on('error', () => {});
  let received = '';
  socket.setEncoding('latin1').on('data', (text) => {
    received += text;
  });
  socket.on('end', () => socket.end());
  socket.write(Buffer.from(one.bytes, 'latin1'));
  if (one.ends === 'reset') {
    await until(5_000, 'the origin has the request', () => origin() > before);
    socket.resetAndDestroy();
  } else if (one.ends === 'fin') {
    socket.end();
  } else if (!one.isOwn) {
    const answers = () => received.match(/HTTP\/1\.[01] \d/g)?.length ?? 0;
    await until(5_000, `${one.name}: answers`, () => answers() >= (one.answers ?? 1));
    // Both have sent all of it when they look at what else there is.
    await new Promise((resolve) => setTimeout(resolve, 30));
    socket.end();
  }
  await closed;
}

function linesOf(file: string): string[] {
  return readFileSync(file, 'latin1').split('\n').slice(0, -1);
}

/** Plays the cases one after the other; the lines of each. */
async function record(port: number, origin: () => number, file: string): Promise<string[][]> {
  const recorded: string[][] = [];
  for (const one of cases) {
    const before = linesOf(file).length;
    await play(port, origin, one);
    const count = one.answers ?? 1;
    await until(
      5_000,
      `${one.name}: ${count} lines`,
      () => linesOf(file).length >= before + count,
      () => linesOf(file).slice(before).join('\n'),
    );
    recorded.push(linesOf(file).slice(before));
  }
  return recorded;
}

const TIME = /\[\d\d\/[A-Z][a-z]{2}\/\d{4}:\d\d:\d\d:\d\d [+-]\d{4}\]/;

function comparable(line: string, { isOwn = false }: Case): string {
  const timeless = line.replace(TIME, '[TIME]');
  return isOwn ? timeless.replace(/^(.*" \d{3}) \d+/, '$1 N') : timeless;
}

function passwordHash(t: Test, password: string): string {
  const salt = Buffer.from(t.name).subarray(0, 16);
  const plain = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '');
  return `$scrypt$ln=10,r=8,p=1$${plain(salt)}$${plain(scryptSync(password, salt, 32, { N: 2 ** 10, r: 8, p: 1 }))}`;
}

testWith(
  missingProgram(['nginx']),
  'access log: the combined format is what nginx writes, byte for byte',
  timeout,
  async (t) => {
    let requests = 0;
    const file = `${temporaryDirectory(t)}/access.log`;
    const users = { 'm"ül': passwordHash(t, 'right') };
    const rig = await HttpRig.start(
      t,
      (request, response) => {
        requests++;
        handler(request, response);
      },
      {
        config: {
          log: { access: { file, format: 'combined' } },
          timeouts: { head: '500ms' },
        },
        http: {
          routes: [
            { match: { path: '/*/private' }, upstream: 'origin', basic_auth: { users } },
            { upstream: 'origin' },
          ],
        },
      },
    );
    const { port: origin } = rig.origin.address() as net.AddressInfo;
    const nginx = await startNginx(
      t,
      (port, directory) => `
  access_log ${directory}/access.log combined;
  client_header_timeout 1s;
  lingering_timeout 100ms;
  merge_slashes off;
  proxy_buffering off;
  server {
    listen 127.0.0.1:${port};
    location / { proxy_pass http://127.0.0.1:${origin}; proxy_http_version 1.1; proxy_set_header Connection ""; }
  }`,
    );
    const count = () => requests;
    const theirs = await record(nginx.port, count, `${nginx.directory}/access.log`);
    const ours = await record(rig.port, count, file);
    for (const [index, one] of cases.entries()) {
      for (const line of ours[index]!) t.match(line, TIME, one.name);
      if (withoutPeer.includes(one.name)) continue;
      t.strictSame(
        ours[index]!.map((line) => comparable(line, one)),
        theirs[index]!.map((line) => comparable(line, one)),
        one.name,
      );
    }
    await rig.finish();
  },
);
