import t from 'tap';
import { parseEndpointAddress, parseListenAddress } from '#src/config/index.js';

// What is refused, and in which words, is in the golden cases: cases/address-*.yaml.

const both = {
  '127.0.0.1:80': { family: 'inet', host: '127.0.0.1', port: 80, text: '127.0.0.1:80' },
  '10.0.0.1:65535': { family: 'inet', host: '10.0.0.1', port: 65535, text: '10.0.0.1:65535' },
  '[::1]:80': { family: 'inet6', host: '::1', port: 80, dualStack: false, text: '[::1]:80' },
  '[2001:DB8:0:0::0001]:443': {
    family: 'inet6',
    host: '2001:db8::1',
    port: 443,
    dualStack: false,
    text: '[2001:db8::1]:443',
  },
  '[FE80::1%eth0]:80': {
    family: 'inet6',
    host: 'fe80::1',
    zone: 'eth0',
    port: 80,
    dualStack: false,
    text: '[fe80::1%eth0]:80',
  },
  '[::ffff:10.0.0.1]:80': { family: 'inet', host: '10.0.0.1', port: 80, text: '10.0.0.1:80' },
  'unix:/run/app.sock': {
    family: 'unix',
    path: '/run/app.sock',
    abstract: false,
    text: 'unix:/run/app.sock',
  },
  'unix:///run/../run/./app.sock': {
    family: 'unix',
    path: '/run/app.sock',
    abstract: false,
    text: 'unix:/run/app.sock',
  },
  'unix:@app/x': { family: 'unix', path: 'app/x', abstract: true, text: 'unix:@app/x' },
};

const listenersOnly = {
  '127.0.0.1:0': { family: 'inet', host: '127.0.0.1', port: 0, text: '127.0.0.1:0' },
  '0.0.0.0:80': { family: 'inet', host: '0.0.0.0', port: 80, text: '0.0.0.0:80' },
  '[::]:80': { family: 'inet6', host: '::', port: 80, dualStack: false, text: '[::]:80' },
  '*:80': { family: 'inet6', host: '::', port: 80, dualStack: true, text: '*:80' },
  ':80': { family: 'inet6', host: '::', port: 80, dualStack: true, text: '*:80' },
};

t.test('address: both ends read numeric and Unix addresses', async (t) => {
  for (const [text, value] of Object.entries(both)) {
    t.strictSame(parseListenAddress(text), { ok: true, value }, text);
    t.strictSame(parseEndpointAddress(text), { ok: true, value }, text);
  }
});

t.test('address: wildcards and port 0 are for listeners only', async (t) => {
  for (const [text, value] of Object.entries(listenersOnly)) {
    t.strictSame(parseListenAddress(text), { ok: true, value }, text);
    t.equal(parseEndpointAddress(text).ok, false, text);
  }
});

t.test('address: the canonical text is read as the same address', async (t) => {
  for (const text of [...Object.keys(both), ...Object.keys(listenersOnly)]) {
    const parsed = parseListenAddress(text);
    if (parsed.ok) t.strictSame(parseListenAddress(parsed.value.text), parsed, text);
  }
});

t.test('address: a Unix name has up to 107 bytes, of a path as of an abstract name', async (t) => {
  for (const prefix of ['unix:/', 'unix:@']) {
    const room = prefix === 'unix:/' ? 106 : 107;
    t.equal(parseListenAddress(prefix + 'x'.repeat(room)).ok, true);
    t.equal(parseListenAddress(prefix + 'x'.repeat(room + 1)).ok, false);
    t.equal(parseListenAddress(prefix + 'é'.repeat(room / 2)).ok, true);
  }
});
