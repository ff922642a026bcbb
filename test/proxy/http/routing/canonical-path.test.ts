import t from 'tap';
import { CanonicalPath, rawOffset } from '#src/proxy/http/routing/index.js';
import { headOf } from '../requests.js';

/** The path as it is compared, or null for one that leads above the root. */
function canonical(target: string): string | null {
  const path = new CanonicalPath();
  return path.read(headOf(`GET ${target}`)) ? path.string : null;
}

const spellings: Record<string, string | null> = {
  '/': '/',
  '//': '/',
  '/a/b?c=/../d': '/a/b',
  '/a//b///c/': '/a/b/c/',
  '/%61%2D%7e': '/a-~',
  '/a%2fb': '/a%2Fb',
  '/a%20b%c3%A9': '/a%20b%C3%A9',
  '/a|b"c': '/a%7Cb%22c',
  '/a%7cb': '/a%7Cb',
  '/%2A*': '/%2A%2A',
  '/.': '/',
  '/./a': '/a',
  '/a/.': '/a/',
  '/a/..': '/',
  '/a/../': '/',
  '/a/b/../c': '/a/c',
  '/a/b/../../c': '/c',
  '/a/%2e%2E/c': '/c',
  '/a/.%2e/c': '/c',
  '/a//../b': '/b',
  '/..': null,
  '/a/../..': null,
  '/%2e%2e/a': null,
  '/.well-known/x': '/.well-known/x',
  '/...': '/...',
  '/a/..b/.c': '/a/..b/.c',
  '/%25%32%65': '/%252e',
  'http://example.com': '/',
  'http://example.com?x': '/',
  'http://example.com/a/./b': '/a/b',
};

for (const [target, expected] of Object.entries(spellings)) {
  t.test(`canonical path: ${target} is ${expected ?? 'refused'}`, async (t) => {
    t.equal(canonical(target), expected);
    // What is canonical stays as it is.
    if (expected !== null) t.equal(canonical(expected), expected);
  });
}

t.test('canonical path: one object reads path after path', async (t) => {
  const path = new CanonicalPath();
  for (const [target, expected] of Object.entries(spellings)) {
    const isRead = path.read(headOf(`GET ${target}`));
    t.equal(isRead ? path.string : null, expected);
  }
  t.ok(path.read(headOf('GET /a')));
  t.equal(path.hadDotSegments, false);
});

t.test('canonical path: the end of a prefix is found in what was sent', async (t) => {
  const rest = (sent: string, prefix: string) => {
    const bytes = Buffer.from(sent, 'latin1');
    const at = rawOffset(bytes, 0, bytes.length, prefix.length);
    return at < 0 ? null : sent.slice(at);
  };
  t.equal(rest('/v1/users', '/v1'), '/users');
  t.equal(rest('/%76%31/us%65rs', '/v1'), '/us%65rs');
  t.equal(rest('//v1//users', '/v1'), '//users');
  t.equal(rest('/a|b/c', '/a%7Cb'), '/c');
  t.equal(rest('/v1', '/v1'), '');
  t.equal(rest('/v', '/v1'), null, 'too short');
  t.equal(rest('/a|b', '/a%7'), null, 'within a character');
});
