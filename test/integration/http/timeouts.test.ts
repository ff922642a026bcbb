// Timeouts of the file and of routes, by a whole process: what clients and operators see of them.
import http from 'node:http';
import net from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import t from 'tap';
import { within } from '#test/support/deadline.js';
import { HttpRig, request } from '#test/support/http/http-rig.js';
import { freePort } from '#test/support/peers/address.js';

const timeout = { timeout: 30_000 };
const EVENTS = 12;

/** Answers in the way that the path says. */
const origin: http.RequestListener = async (request, response) => {
  request.on('error', () => {});
  request.resume();
  if (request.url === '/never') return;
  if (request.url === '/poll') await sleep(900);
  if (request.url?.startsWith('/events')) {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    for (let count = 0; count < EVENTS && !response.destroyed; count++) {
      response.write(`data: ${count}\n\n`);
      await sleep(100);
    }
  }
  response.end('ok');
};

const options = {
  config: { timeouts: { request: '600ms', response: '300ms' } },
  http: {
    routes: [
      { match: { path: '/events' }, upstream: 'origin', timeouts: { request: 'off' } },
      {
        match: { path: '/poll' },
        upstream: 'origin',
        timeouts: { request: '5s', response: 'off' },
      },
      { name: 'rest', upstream: 'origin' },
    ],
  },
};

/** Sends a body a byte at a time. @returns what came until the end */
function drip(port: number): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1', () => {
      socket.write('POST /never HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\n');
    });
    const timer = setInterval(() => socket.write('x'), 50);
    let text = '';
    socket.on('data', (data) => {
      text += data;
    });
    socket.on('end', () => {
      clearInterval(timer);
      socket.end();
      resolve(text);
    });
    socket.on('error', (error) => {
      clearInterval(timer);
      reject(error);
    });
  });
}

t.test('http timeouts: each route has its own patience', timeout, async (t) => {
  const rig = await HttpRig.start(t, origin, options);
  const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
  const statusOf = async (path: string) => (await request(rig.url(path), { agent })).status;
  t.equal(await statusOf('/never'), 504, 'no response');
  t.equal(await statusOf('/quick'), 200, 'by the same connection');
  t.equal(await statusOf('/poll'), 200, 'long polling');
  const events = await request(rig.url('/events'), { agent });
  t.equal(events.body.toString().match(/^data/gm)?.length, EVENTS, 'an event stream');
  await t.rejects(request(rig.url('/events/cut')), 'the same where the whole request counts');
  agent.destroy();
  await rig.finish();
});

t.test('http timeouts: a body that drips in is a 408, and is counted', timeout, async (t) => {
  const admin = await freePort();
  const config = { ...options.config, admin: { bind: `127.0.0.1:${admin}` } };
  const rig = await HttpRig.start(t, origin, { ...options, config });
  const answer = await within(5000, 'an answer', drip(rig.port));
  t.match(answer, /^HTTP\/1\.1 408 Request Timeout\r\n/);
  t.match(answer, /\r\nConnection: close\r\n/);
  t.equal((await request(rig.url('/never'))).status, 504);
  const metrics = `${(await request(`http://127.0.0.1:${admin}/metrics`)).body}`;
  const counted = [...metrics.matchAll(/^headgate_http_requests_timed_out_total\{(.*)\} (\d+)/gm)];
  t.strictSame(
    counted.map(([, labels, count]) => [/route="rest".*reason="(\w+)"/.exec(labels!)?.[1], count]),
    [
      ['request', '1'],
      ['response', '1'],
    ],
  );
  await rig.finish();
});
