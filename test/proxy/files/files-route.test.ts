import { execFileSync } from 'node:child_process';
import { mkdirSync, renameSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileHttp, filesTest } from '#test/support/http/files-rig.js';
import { payload } from '#test/support/random.js';

const OLD_SEC = 1_000_000_000;
const OLD_DATE = 'Sun, 09 Sep 2001 01:46:40 GMT';

/** Written long ago, so that its tag is a strong one. */
function old(...paths: string[]): void {
  for (const path of paths) utimesSync(path, OLD_SEC, OLD_SEC);
}

const site = {
  'index.html': '<h1>home</h1>',
  'a.txt': '0123456789',
  'a b.txt': 'space',
  'b%20c.txt': 'percent',
  empty: '',
  '.env': 'secret',
  sub: { 'index.html': 'sub', 'deep.js': 'js', '.git': { config: 'secret' } },
  bare: { x: 'x' },
};

filesTest(
  'a whole file, with all that is known of it',
  site,
  (root) => fileHttp(root),
  (rig, t, root) => {
    old(join(root, 'a.txt'));
    const { status, headers, body } = rig.ask('/a.txt?query');
    t.equal(status, 200);
    t.equal(body.toString(), '0123456789');
    const { date, etag, ...rest } = headers;
    t.same(rest, {
      'content-length': '10',
      'content-type': 'text/plain; charset=utf-8',
      'accept-ranges': 'bytes',
      'last-modified': OLD_DATE,
    });
    t.ok(Math.abs(Date.parse(date!) - Date.now()) < 60_000);
    t.match(etag, /^"[0-9a-f]+-a"$/);
    const head = rig.ask('/a.txt', [], 'HEAD');
    t.same({ ...head.headers, date }, headers, 'HEAD says the same');
    rig.expectSilence();
    t.equal(rig.ask('/empty').headers['content-length'], '0');
    t.equal(rig.ask('/empty').headers['content-type'], 'application/octet-stream');
    t.equal(rig.ask('/a%20b.txt').body.toString(), 'space');
    t.equal(rig.ask('/b%2520c.txt').body.toString(), 'percent', 'decoded once');
    t.equal(rig.ask('/%61.t%78t').body.toString(), '0123456789');
    t.equal(rig.ask('http://x/a.txt').body.toString(), '0123456789', 'absolute form');
  },
);

filesTest(
  'methods: GET and HEAD, OPTIONS says so, others are refused',
  site,
  (root) => fileHttp(root),
  (rig, t) => {
    const options = rig.ask('/a.txt', [], 'OPTIONS');
    t.match(options, { status: 204, headers: { allow: 'GET, HEAD, OPTIONS' } });
    for (const method of ['POST', 'PUT', 'DELETE', 'PATCH', 'TRACE', 'PROPFIND']) {
      const refused = rig.ask('/a.txt', ['Content-Length: 0'], method);
      t.match(refused, { status: 405, headers: { allow: 'GET, HEAD, OPTIONS' } }, method);
    }
    t.equal(rig.ask('/a.txt', ['Content-Length: 0']).status, 200);
  },
);

filesTest(
  'directories: their index, and a slash where there is none',
  site,
  (root) => fileHttp(root),
  (rig, t) => {
    t.equal(rig.ask('/').body.toString(), '<h1>home</h1>');
    t.equal(rig.ask('/').headers['content-type'], 'text/html; charset=utf-8');
    t.equal(rig.ask('/sub/').body.toString(), 'sub');
    t.match(rig.ask('/sub?a=b'), { status: 301, headers: { location: '/sub/?a=b' } });
    t.match(rig.ask('//sub'), { status: 301, headers: { location: '/sub/' } });
    t.equal(rig.ask('/bare/').status, 404);
    t.equal(rig.ask('/bare').status, 301);
    t.equal(rig.ask('/a.txt/').status, 404);
    t.equal(rig.ask('/none').status, 404);
    t.equal(rig.ask('/none/').status, 404);
  },
);

filesTest(
  'a prefix is taken off, and stays in redirects',
  site,
  (root) => fileHttp(root, {}, { prefix: { from: '/static', to: '/sub' } }),
  (rig, t) => {
    t.equal(rig.ask('/static/deep.js').body.toString(), 'js');
    t.equal(rig.ask('/static/').body.toString(), 'sub');
    t.match(rig.ask('/static'), { status: 301, headers: { location: '/static/' } });
    t.equal(rig.ask('/statics/deep.js').status, 404);
    t.equal(rig.ask('/static/../static/deep.js').body.toString(), 'js');
  },
);

filesTest(
  'no path leads out of the root, however it is spelled',
  { root: { 'in.txt': 'in', sub: {} }, 'secret.txt': 'secret' },
  (root) => fileHttp(join(root, 'root')),
  (rig, t, top) => {
    const root = join(top, 'root');
    symlinkSync('../secret.txt', join(root, 'link.txt'));
    symlinkSync(join(top, 'secret.txt'), join(root, 'absolute.txt'));
    symlinkSync('..', join(root, 'up'));
    symlinkSync('/proc/self/root', join(root, 'magic'));
    symlinkSync('loop', join(root, 'loop'));
    symlinkSync('in.txt', join(root, 'inside.txt'));
    t.equal(rig.ask('/inside.txt').body.toString(), 'in', 'a link that stays inside is followed');
    for (const [path, status] of [
      ['/../secret.txt', 400],
      ['/sub/../../secret.txt', 400],
      ['/%2e%2e/secret.txt', 400],
      ['/%2E%2E%2Fsecret.txt', 404],
      ['/..%2fsecret.txt', 404],
      ['/..%252fsecret.txt', 404],
      ['/%252e%252e/secret.txt', 404],
      ['/%252e%252e%252fsecret.txt', 404],
      ['/..%5csecret.txt', 404],
      ['/..\\secret.txt', 404],
      ['/..%5c..%5csecret.txt', 404],
      ['/sub%2f..%2f..%2fsecret.txt', 404],
      ['/in.txt%00', 404],
      ['/in.txt%00.html', 404],
      ['/%00', 404],
      ['/..%00/secret.txt', 404],
      ['/..%c0%afsecret.txt', 404],
      ['/%c0%ae%c0%ae/secret.txt', 404],
      ['/link.txt', 404],
      ['/absolute.txt', 404],
      ['/up/secret.txt', 404],
      ['/up/root/in.txt', 404],
      ['/magic/etc/passwd', 404],
      ['/loop', 404],
      ['//etc/passwd', 404],
      ['/%2fetc/passwd', 404],
      ['/etc/passwd', 404],
      [`/${'a'.repeat(300)}`, 404],
      [`/${'a/'.repeat(500)}`, 404],
      ['/in.txt/../in.txt/', 404],
      ['/./in.txt', 200],
      ['/sub/../in.txt', 200],
      ['/sub/%2e%2e/in.txt', 200],
      ['//in.txt', 200],
    ] as const) {
      const { status: actual, body } = rig.ask(path);
      t.equal(actual, status, path.slice(0, 60));
      t.notOk(body.includes('secret') && !path.includes('secret'), path);
      t.notMatch(body.toString(), /^secret|root:/, path);
    }
  },
);

filesTest(
  'what is no path of a request is none of a file',
  { 'in.txt': 'in' },
  (root) => fileHttp(root),
  (rig, t) => {
    for (const path of ['/%uff0e%uff0e/in.txt', '/in.txt#', '/in.txt%0', '/\x00in.txt']) {
      t.equal(rig.again().ask(path).status, 400, path);
    }
  },
);

filesTest(
  'directories that are renamed all the time lead nowhere else',
  { root: { one: { x: 'inside' }, hold: {} }, 'secret.txt': 'secret', two: { x: 'outside' } },
  (root) => fileHttp(join(root, 'root'), { revalidateMs: 0 }),
  (rig, t, top) => {
    const root = join(top, 'root');
    symlinkSync('one', join(root, 'link'));
    symlinkSync('../two', join(root, 'other'));
    const seen = new Map<string, number>();
    for (let round = 0; round < 300; round++) {
      // The name leads inside, then outside, then nowhere.
      if (round % 3 === 0) renameSync(join(root, 'link'), join(root, 'hold/link'));
      if (round % 3 === 0) renameSync(join(root, 'other'), join(root, 'link'));
      if (round % 3 === 1) renameSync(join(root, 'link'), join(root, 'other'));
      if (round % 3 === 2) renameSync(join(root, 'hold/link'), join(root, 'link'));
      const { status, body } = rig.ask('/link/x');
      const what = status === 200 ? body.toString() : String(status);
      seen.set(what, (seen.get(what) ?? 0) + 1);
    }
    t.same([...seen.keys()].sort(), ['404', 'inside']);
  },
);

filesTest(
  'names with a dot in front are not there, unless they are allowed',
  site,
  (root) => fileHttp(root),
  (rig, t) => {
    for (const path of ['/.env', '/%2eenv', '/sub/.git/config', '/sub/.git', '/.']) {
      t.equal(rig.ask(path).body.includes('secret'), false, path);
    }
    t.equal(rig.ask('/.env').status, 404);
    t.equal(rig.ask('/sub/.git/config').status, 404);
  },
);

filesTest(
  'names with a dot in front, allowed',
  site,
  (root) => fileHttp(root, { dotfiles: true }),
  (rig, t) => {
    t.equal(rig.ask('/.env').body.toString(), 'secret');
    t.equal(rig.ask('/sub/.git/config').body.toString(), 'secret');
  },
);

filesTest(
  'what is no file is not there, and keeps nobody waiting',
  { 'a.txt': 'a' },
  (root) => fileHttp(root),
  (rig, t, root) => {
    execFileSync('mkfifo', [join(root, 'fifo')]);
    symlinkSync('/dev/zero', join(root, 'zero'));
    t.equal(rig.ask('/fifo').status, 404);
    t.equal(rig.ask('/zero').status, 404);
    t.equal(rig.ask('/a.txt').status, 200);
  },
);

filesTest(
  'what may not be read is refused',
  { 'a.txt': 'a' },
  (root) => fileHttp(root),
  (rig, t) => {
    // Root may read everything.
    rig.room.libc.fail('syscall', 13, 13);
    t.equal(rig.ask('/a.txt').status, 403, 'the directory itself');
    rig.room.pass(2000);
    rig.room.libc.script('syscall', (args, real) =>
      args[0] === 437 && args[1]! >= 0 ? -13 : real(...args),
    );
    t.equal(rig.ask('/a.txt').status, 403);
  },
);

filesTest(
  'conditions: tags and dates, in their order',
  { 'a.txt': '0123456789' },
  (root) =>
    fileHttp(root, {
      cacheControl: [{ paths: [{ kind: 'exact', text: '/a.txt' }], value: 'max-age=60' }],
    }),
  (rig, t, root) => {
    old(join(root, 'a.txt'));
    const { etag } = rig.ask('/a.txt').headers as { etag: string };
    const status = (...lines: string[]) => rig.ask('/a.txt', lines).status;
    t.equal(status(`If-None-Match: ${etag}`), 304);
    t.equal(status(`If-None-Match: W/${etag}`), 304);
    t.equal(status('If-None-Match: *'), 304);
    t.equal(status('If-None-Match: "x"'), 200);
    t.equal(status('If-None-Match: "x"', `If-None-Match: ${etag}`), 304, 'two lines are one list');
    t.equal(status(`If-Modified-Since: ${OLD_DATE}`), 304);
    t.equal(status('If-None-Match: "x"', `If-Modified-Since: ${OLD_DATE}`), 200, 'the tag decides');
    t.equal(status(`If-Match: ${etag}`), 200);
    t.equal(status(`If-Match: W/${etag}`), 412);
    t.equal(status('If-Match: "x"'), 412);
    t.equal(status('If-Unmodified-Since: Sun, 09 Sep 2001 01:46:39 GMT'), 412);
    t.equal(status(`If-Match: ${etag}`, `If-None-Match: ${etag}`), 304);
    const { headers } = rig.ask('/a.txt', [`If-None-Match: ${etag}`]);
    t.same(Object.keys(headers).sort(), ['cache-control', 'date', 'etag', 'last-modified']);
    t.equal(rig.ask('/a.txt', [`If-None-Match: ${etag}`], 'HEAD').status, 304);
  },
);

filesTest(
  'a file that was written just now has a weak tag, and none may be switched off',
  { 'a.txt': 'a' },
  (root) => fileHttp(root),
  (rig, t, root) => {
    const { etag } = rig.ask('/a.txt').headers as { etag: string };
    t.match(etag, /^W\/"/);
    t.equal(rig.ask('/a.txt', [`If-None-Match: ${etag}`]).status, 304);
    t.equal(rig.ask('/a.txt', ['Range: bytes=0-0', `If-Range: ${etag}`]).status, 200);
    old(join(root, 'a.txt'));
    rig.room.pass(2000);
    t.match(rig.ask('/a.txt').headers.etag, /^"/);
  },
);

filesTest(
  'ranges: one, several, none that is there',
  { 'a.txt': '0123456789' },
  (root) =>
    fileHttp(
      root,
      {},
      { responseHeaders: { set: [{ name: 'X-A', value: ['b'] }], add: [], remove: [] } },
    ),
  (rig, t, root) => {
    old(join(root, 'a.txt'));
    const { etag } = rig.ask('/a.txt').headers as { etag: string };
    const one = rig.ask('/a.txt', ['Range: bytes=2-4']);
    t.match(one, { status: 206, headers: { 'content-range': 'bytes 2-4/10', 'x-a': 'b', etag } });
    t.equal(one.body.toString(), '234');
    t.equal(rig.ask('/a.txt', ['Range: bytes=-1']).body.toString(), '9');
    t.match(rig.ask('/a.txt', ['Range: bytes=10-']), {
      status: 416,
      headers: { 'content-range': 'bytes */10' },
    });
    t.equal(rig.ask('/a.txt', ['Range: bytes=2-4'], 'HEAD').status, 200, 'HEAD knows no ranges');
    t.equal(rig.ask('/a.txt', ['Range: bytes=2-4', 'Range: bytes=1-1']).status, 200);
    t.equal(rig.ask('/a.txt', ['Range: bytes=2-4', `If-Range: ${etag}`]).status, 206);
    t.equal(rig.ask('/a.txt', ['Range: bytes=2-4', 'If-Range: "x"']).status, 200);
    t.equal(
      rig.ask('/a.txt', ['Range: bytes=2-4', `If-Range: ${etag}`, 'If-Range: "x"']).status,
      200,
      'two are none that holds',
    );
    t.equal(rig.ask('/a.txt', ['Range: bytes=2-4', `If-Range: ${OLD_DATE}`]).status, 206);
    t.equal(rig.ask('/a.txt', ['Range: bytes=2-4', `If-None-Match: ${etag}`]).status, 304);
    rig.expectSilence();
  },
);

filesTest(
  'ranges: several as parts of one body',
  {},
  (root) => fileHttp(root),
  (rig, t, root) => {
    const bytes = payload(1, 3_000_000);
    writeFileSync(join(root, 'a.bin'), bytes);
    const { status, headers, body } = rig.ask('/a.bin', ['Range: bytes=0-9, 1000000-2000000, -5']);
    t.equal(status, 206);
    const boundary = /^multipart\/byteranges; boundary=(\w+)$/.exec(headers['content-type']!)![1]!;
    const parts = [
      [0, 10],
      [1_000_000, 2_000_001],
      [2_999_995, 3_000_000],
    ] as const;
    const expected = parts.flatMap(([start, end], index) => [
      Buffer.from(
        `${index === 0 ? '' : '\r\n'}--${boundary}\r\nContent-Type: application/octet-stream\r\n` +
          `Content-Range: bytes ${start}-${end - 1}/3000000\r\n\r\n`,
      ),
      bytes.subarray(start, end),
    ]);
    t.ok(body.equals(Buffer.concat([...expected, Buffer.from(`\r\n--${boundary}--\r\n`)])));
    t.equal(Number(headers['content-length']), body.length);
  },
);

filesTest(
  'encodings: what lies beside a file is sent to those who accept it',
  {
    'a.js': 'plain',
    'a.js.br': 'brotli',
    'a.js.zst': 'zstandard',
    'a.js.gz': 'gzipped',
    'b.js': 'alone',
    'c.js.gz': 'no plain one',
  },
  (root) => fileHttp(root, { precompressed: ['br', 'zstd', 'gzip'] }),
  (rig, t, root) => {
    old(...['a.js', 'a.js.br', 'a.js.zst', 'a.js.gz', 'b.js'].map((name) => join(root, name)));
    const tags = new Set<string>();
    for (const [accept, body, encoding] of [
      ['gzip, deflate, br, zstd', 'brotli', 'br'],
      ['gzip', 'gzipped', 'gzip'],
      ['zstd;q=1, br;q=0.9', 'zstandard', 'zstd'],
      ['br;q=0, *', 'zstandard', 'zstd'],
      ['GZIP', 'gzipped', 'gzip'],
      ['gzip;q=0', 'plain', undefined],
      ['identity, gzip;q=0.5', 'plain', undefined],
      ['deflate', 'plain', undefined],
      ['', 'plain', undefined],
      ['*;q=0', 'plain', undefined],
    ] as const) {
      const reply = rig.ask('/a.js', [`Accept-Encoding: ${accept}`]);
      t.equal(reply.body.toString(), body, accept);
      t.equal(reply.headers['content-encoding'], encoding, accept);
      t.equal(reply.headers.vary, 'Accept-Encoding');
      t.equal(reply.headers['content-type'], 'text/javascript; charset=utf-8');
      tags.add(reply.headers.etag!);
    }
    t.equal(tags.size, 4, 'each has a tag of its own');
    t.equal(rig.ask('/a.js').body.toString(), 'plain');
    const range = rig.ask('/a.js', ['Accept-Encoding: gzip', 'Range: bytes=0-1']);
    t.match(range, {
      status: 206,
      headers: { 'content-encoding': 'gzip', 'content-range': 'bytes 0-1/7' },
    });
    t.equal(range.body.toString(), 'gz');
    t.equal(rig.ask('/b.js', ['Accept-Encoding: gzip']).headers.vary, undefined);
    t.equal(rig.ask('/c.js', ['Accept-Encoding: gzip']).status, 404, 'a file must be there itself');
    const direct = rig.ask('/a.js.gz', ['Accept-Encoding: gzip']);
    t.equal(direct.headers['content-type'], 'application/gzip');
    t.equal(direct.headers['content-encoding'], undefined);
  },
);

filesTest(
  'try files: one after the other, for an app of one page',
  {
    'index.html': 'app',
    'about.html': 'about',
    'a.js': 'js',
    sub: { 'index.html': 'sub' },
    bare: { '.html': 'hidden' },
  },
  (root) => fileHttp(root, { tryFiles: [['', ''], ['', '.html'], ['', '/'], ['/index.html']] }),
  (rig, t) => {
    t.equal(rig.ask('/a.js').body.toString(), 'js');
    t.equal(rig.ask('/about').body.toString(), 'about');
    t.equal(rig.ask('/users/7/edit').body.toString(), 'app');
    t.equal(rig.ask('/users/7/').body.toString(), 'app');
    t.equal(rig.ask('/').body.toString(), 'app');
    t.equal(rig.ask('/sub').status, 301);
    t.equal(rig.ask('/sub/').body.toString(), 'sub');
    t.equal(rig.ask('/bare/').body.toString(), 'app');
    t.equal(rig.ask('/users/7').headers['content-type'], 'text/html; charset=utf-8');
  },
);

filesTest(
  'try files: a name that is all ending begins with a dot, and is served where those are',
  { bare: { '.html': 'shown' } },
  (root) => fileHttp(root, { tryFiles: [['', '.html']], dotfiles: true }),
  (rig, t) => {
    t.equal(rig.ask('/bare/').body.toString(), 'shown');
    t.equal(rig.ask('/bare').status, 404);
  },
);

filesTest(
  'a page of its own for what is not there',
  { '404.html': 'gone', '404.html.gz': 'gone, gzipped', 'a.txt': 'a' },
  (root) => fileHttp(root, { notFound: '/404.html', precompressed: ['gzip'] }),
  (rig, t) => {
    const { status, body, headers } = rig.ask('/none');
    t.equal(status, 404);
    t.equal(body.toString(), 'gone');
    t.equal(headers['content-type'], 'text/html; charset=utf-8');
    t.equal(rig.ask('/none', ['Accept-Encoding: gzip']).body.toString(), 'gone, gzipped');
    t.equal(rig.ask('/none', ['Range: bytes=0-0']).body.toString(), 'gone');
    t.equal(rig.ask('/none', ['If-None-Match: *']).status, 404);
    t.equal(rig.ask('/none', [], 'HEAD').status, 404);
    t.equal(rig.ask('/404.html').status, 200);
    t.equal(rig.ask('/a.txt').status, 200);
  },
);

filesTest(
  'fields: cache control by pattern, types by extension, and what the route says',
  { 'a.js': 'js', 'b.log': 'log', deep: { er: { 'c.css': 'css' } }, 'ä.txt': 'umlaut' },
  (root) =>
    fileHttp(
      root,
      {
        cacheControl: [
          {
            paths: [
              { kind: 'glob', text: '/**/*.css' },
              { kind: 'exact', text: '/%C3%A4.txt' },
            ],
            value: 'no-cache',
          },
          { paths: [{ kind: 'prefix', text: '/' }], value: 'max-age=60' },
        ],
        contentTypes: { log: 'text/x-log' },
      },
      {
        responseHeaders: {
          set: [
            { name: 'Last-Modified', value: ['never'] },
            { name: 'X-Path', value: [{ variable: 'path' }] },
          ],
          add: [],
          remove: ['etag', 'accept-*'],
        },
      },
    ),
  (rig, t) => {
    const css = rig.ask('/deep/er/c.css').headers;
    t.equal(css['cache-control'], 'no-cache');
    t.equal(css['last-modified'], 'never');
    t.equal(css['x-path'], '/deep/er/c.css');
    t.notOk('etag' in css || 'accept-ranges' in css);
    t.equal(rig.ask('/a.js').headers['cache-control'], 'max-age=60');
    t.equal(rig.ask('/b.log').headers['content-type'], 'text/x-log');
    t.equal(rig.ask('/%C3%A4.txt').headers['cache-control'], 'no-cache');
    t.equal(rig.ask('/%c3%a4.txt').body.toString(), 'umlaut');
  },
);

filesTest(
  'listings: as HTML or JSON, with nothing in them that is not text',
  {
    '<script>alert("1")&\'': 'x',
    'b.txt': '12345',
    '.hidden': 'x',
    zdir: {},
    'ä ?#%': 'x',
    'a\\b': 'x',
    indexed: { 'index.html': 'index' },
  },
  (root) => fileHttp(root, { listing: true }, { prefix: { from: '/files', to: '' } }),
  (rig, t, root) => {
    mkdirSync(join(root, 'zdir', 'deep'));
    symlinkSync('b.txt', join(root, 'inside'));
    symlinkSync('/etc/passwd', join(root, 'outside'));
    old(join(root, 'b.txt'));
    const html = rig.ask('/files/');
    const text = html.body.toString();
    t.equal(html.headers['content-type'], 'text/html; charset=utf-8');
    t.equal(html.headers.vary, 'Accept');
    t.notMatch(text, /<script>|hidden|outside/);
    t.match(text, '&lt;script&gt;alert(&quot;1&quot;)&amp;&#39;');
    t.match(text, 'href="./%C3%A4%20%3F%23%25"');
    t.ok(text.indexOf('zdir/') < text.indexOf('b.txt'), 'directories come first');
    const json = rig.ask('/files/', ['Accept: application/json']);
    t.equal(json.headers['content-type'], 'application/json');
    const entries = JSON.parse(json.body.toString()) as { name: string }[];
    t.same(
      entries.map(({ name }) => name),
      ['indexed/', 'zdir/', '<script>alert("1")&\'', 'b.txt', 'inside', 'ä ?#%'],
    );
    t.same(
      entries.find(({ name }) => name === 'b.txt'),
      {
        name: 'b.txt',
        url: './b.txt',
        type: 'file',
        size: 5,
        modified: '2001-09-09T01:46:40Z',
      },
    );
    t.match(rig.ask('/files/zdir/').body.toString(), 'href="../"');
    t.equal(rig.ask('/files/zdir').status, 301);
    t.equal(rig.ask('/files/indexed/').body.toString(), 'index');
    t.equal(rig.ask('/files/', [], 'HEAD').status, 200);
    t.equal(rig.ask('/files/none/').status, 404);
    rig.expectSilence();
  },
);

filesTest(
  'requests that come together are answered in their order',
  { 'a.txt': 'aaa', 'b.txt': 'bb' },
  (root) => fileHttp(root),
  (rig, t, root) => {
    const bytes = payload(2, 2_000_000);
    writeFileSync(join(root, 'c.bin'), bytes);
    for (let round = 0; round < 20; round++) {
      for (const name of ['/a.txt', '/c.bin', '/none', '/b.txt']) rig.say(name);
      t.equal(rig.hear().body.toString(), 'aaa');
      t.ok(rig.hear().body.equals(bytes));
      t.equal(rig.hear().status, 404);
      t.equal(rig.hear().body.toString(), 'bb');
    }
    rig.expectSilence();
  },
);
