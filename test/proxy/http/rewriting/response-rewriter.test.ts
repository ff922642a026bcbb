import t from 'tap';
import { CookieDomains } from '#src/proxy/http/rewriting/cookie-domains.js';
import { ConnectionLine } from '#src/proxy/http/rewriting/index.js';
import { FIRST_ID, fields, responseOut } from './exchange-rig.js';

const lines = (...all: string[]) => all.join('\n');
const edits = (some: object) => ({ set: [], add: [], remove: [], ...some });

t.test('response: what nobody asks to change goes on as it came', async (t) => {
  const response = lines(
    'HTTP/1.1 299 Fine, \xe9',
    'Content-Length: 5',
    'set-cookie: a=b',
    'Set-Cookie: c=d',
    'X-Odd:   x ',
    'Date: Sun, 06 Nov 1994 08:49:37 GMT',
  );
  t.equal(responseOut({}, response), response);
});

t.test(
  'response: what is for one hop stays on it, and the client is told of its own',
  async (t) => {
    const response = lines(
      'HTTP/1.1 200 OK',
      'Connection: close, X-Own',
      'Keep-Alive: timeout=5',
      'X-Own: 1',
      'Upgrade: h2',
      'Content-Length: 5',
      'Proxy-Authenticate: Basic',
    );
    const kept = ['HTTP/1.1 200 OK', 'Content-Length: 5'];
    const out = (connection: ConnectionLine) => responseOut({}, response, { connection });
    t.equal(out(ConnectionLine.none), lines(...kept));
    t.equal(out(ConnectionLine.close), lines(...kept, 'Connection: close'));
    t.equal(out(ConnectionLine.keep_alive), lines(...kept, 'Connection: keep-alive'));
  },
);

t.test(
  'response: a 426 says what to upgrade to, besides what becomes of the connection',
  async (t) => {
    const kept = ['HTTP/1.1 426 Upgrade Required', 'Upgrade: websocket', 'Content-Length: 0'];
    const response = lines(...kept, 'Connection: upgrade');
    const out = (connection: ConnectionLine) => responseOut({}, response, { connection });
    t.equal(out(ConnectionLine.none), lines(...kept, 'Connection: upgrade'));
    t.equal(out(ConnectionLine.close), lines(...kept, 'Connection: close', 'Connection: upgrade'));
  },
);

t.test('response: the space behind the status is there, whether or not a reason is', async (t) => {
  for (const version of ['HTTP/1.1', 'HTTP/1.0']) {
    for (const [came, goes] of [
      ['204', '204 '],
      ['204 ', '204 '],
      ['204 No', '204 No'],
    ]) {
      t.equal(responseOut({}, `${version} ${came}`), `HTTP/1.1 ${goes}`);
      t.equal(responseOut({}, `${version} ${came}\nX-A: 1`), `HTTP/1.1 ${goes}\nX-A: 1`);
    }
  }
});

t.test('response: HTTP/1.0 becomes HTTP/1.1, and chunks may end here', async (t) => {
  t.equal(
    responseOut({}, lines('HTTP/1.0 200 OK', 'Content-Length: 1')),
    lines('HTTP/1.1 200 OK', 'Content-Length: 1'),
  );
  const framing = ['Transfer-Encoding: chunked', 'Trailer: Digest'];
  const chunked = lines('HTTP/1.1 200 OK', ...framing, 'X-A: 1');
  t.equal(responseOut({}, chunked), chunked);
  t.equal(
    responseOut({}, chunked, { dropsChunked: true, connection: ConnectionLine.close }),
    lines('HTTP/1.1 200 OK', 'X-A: 1', 'Connection: close'),
  );
});

t.test('response: where no body can be, none is announced', async (t) => {
  for (const [status, field] of [
    ['103 Early Hints', 'Content-Length: 0'],
    ['204 No Content', 'Content-Length: 0'],
    ['204 No Content', 'Content-Length: 5'],
    ['204 No Content', 'Transfer-Encoding: chunked'],
  ] as const) {
    const kept = [`HTTP/1.1 ${status}`, 'X-A: 1'];
    t.equal(responseOut({}, lines(...kept, field)), lines(...kept), `${status}, ${field}`);
  }
  const length = lines('HTTP/1.1 304 Not Modified', 'Content-Length: 5');
  t.equal(responseOut({}, length), length, 'that of another response');
});

t.test('response: a switch of protocols goes on', async (t) => {
  const response = lines(
    'HTTP/1.1 101 Switching Protocols',
    'Upgrade: websocket',
    'Connection: Upgrade',
    'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
  );
  t.equal(
    responseOut({}, response, { connection: ConnectionLine.upgrade }),
    lines(
      'HTTP/1.1 101 Switching Protocols',
      'Upgrade: websocket',
      'Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
      'Connection: upgrade',
    ),
  );
});

t.test('response: fields are removed, set and added, with what the request was', async (t) => {
  const responseHeaders = edits({
    set: fields({ 'x-by': '$upstream $request_id', Server: 'gate' }),
    add: fields({ 'Set-Cookie': 'via=1' }),
    remove: ['x-powered-*'],
  });
  const response = lines(
    'HTTP/1.1 200 OK',
    'X-Powered-By: x',
    'Server: y',
    'Set-Cookie: a=b',
    'X-By: z',
  );
  t.equal(
    responseOut(
      { route: { responseHeaders }, requestId: 'keep' },
      response,
      {},
      'GET /\nX-Request-Id: mine',
    ),
    lines(
      'HTTP/1.1 200 OK',
      'Set-Cookie: a=b',
      'x-by: app mine',
      'Server: gate',
      'Set-Cookie: via=1',
    ),
  );
});

t.test('response: interim ones get nothing added', async (t) => {
  const responseHeaders = edits({ set: fields({ 'x-by': 'gate' }) });
  const response = lines('HTTP/1.1 103 Early Hints', 'Link: </a>; rel=preload', 'X-By: a');
  t.equal(
    responseOut({ route: { responseHeaders } }, response, { connection: ConnectionLine.close }),
    lines('HTTP/1.1 103 Early Hints', 'Link: </a>; rel=preload'),
  );
});

t.test('response: browsers are told to stay with HTTPS when they have come by it', async (t) => {
  const hsts = 'max-age=31536000; includeSubDomains';
  const response = lines('HTTP/1.1 200 OK', 'Strict-Transport-Security: max-age=1', 'A: b');
  const secure = { hsts, facts: { scheme: 'https' as const } };
  t.equal(
    responseOut(secure, response),
    lines('HTTP/1.1 200 OK', 'A: b', `Strict-Transport-Security: ${hsts}`),
  );
  t.equal(responseOut({ hsts }, response), lines('HTTP/1.1 200 OK', 'A: b'));
  t.equal(responseOut({}, response), response);
});

const locations: [sent: string, seen: string][] = [
  ['http://127.0.0.1:3000/api/x?y', 'https://www.example:8443/v1/x?y'],
  ['https://127.0.0.1:3000', 'https://www.example:8443'],
  ['http://127.0.0.1:3000/other', 'https://www.example:8443/other'],
  ['http://127.0.0.1:3000/apix', 'https://www.example:8443/apix'],
  ['http://127.0.0.1:30001/api', 'http://127.0.0.1:30001/api'],
  ['https://elsewhere.example/api', 'https://elsewhere.example/api'],
  ['/api', '/v1'],
  ['/api?x', '/v1?x'],
  ['//127.0.0.1:3000/api', 'https://www.example:8443/v1'],
  ['//127.0.0.1:3000', 'https://www.example:8443'],
  ['//elsewhere.example/api', '//elsewhere.example/api'],
  ['///api', '///api'],
  ['api/x', 'api/x'],
  ['', ''],
];
for (const [sent, seen] of locations) {
  t.test(
    `response: Location ${sent || 'without a value'} is ${seen || 'left alone'}`,
    async (t) => {
      const route = {
        rewrite: { location: true, cookieDomains: [] },
        prefix: { from: '/v1', to: '/api' },
        host: 'upstream' as const,
      };
      const listener = { route, facts: { scheme: 'https' as const } };
      const response = lines('HTTP/1.1 302 Found', `LOCATION: ${sent}`, 'A: b');
      const out = responseOut(listener, response, {}, 'GET /v1/x\nHost: www.example:8443');
      t.equal(out, lines('HTTP/1.1 302 Found', `LOCATION: ${seen}`, 'A: b'));
    },
  );
}

t.test('response: a default port in Location says what none does', async (t) => {
  const located = (host: string, location: string) => {
    const route = { rewrite: { location: true, cookieDomains: [] }, host: [host] };
    const out = responseOut({ route }, lines('HTTP/1.1 302 Found', `Location: ${location}`));
    return /Location: (.*)/.exec(out)?.[1];
  };
  for (const host of ['app.internal', 'app.internal:80']) {
    t.equal(located(host, 'http://app.internal:80/x'), 'http://example.com/x');
    t.equal(located(host, 'http://APP.internal/x'), 'http://example.com/x');
    t.equal(located(host, 'http://app.internal:/x'), 'http://example.com/x');
    t.equal(located(host, '//app.internal:80/x'), 'http://example.com/x');
    t.equal(located(host, 'http://app.internal:8080/x'), 'http://app.internal:8080/x');
    t.equal(located(host, 'http://app.internal:443/x'), 'http://app.internal:443/x');
  }
  t.equal(located('app.internal', 'https://app.internal:443/x'), 'http://example.com/x');
  t.equal(located('app.internal:443', 'https://app.internal/x'), 'http://example.com/x');
});

t.test('response: without its prefix a path in Location is still one of this host', async (t) => {
  const located = (location: string) => {
    const prefix = { from: '', to: '/api' };
    const route = {
      rewrite: { location: true, cookieDomains: [] },
      prefix,
      host: ['app.internal'],
    };
    const out = responseOut({ route }, lines('HTTP/1.1 302 Found', `Location: ${location}`));
    return /Location: (.*)/.exec(out)?.[1];
  };
  t.equal(located('/api/x'), '/x');
  t.equal(located('/api'), '/');
  t.equal(located('/api?x'), '/?x');
  t.equal(located('/api#x'), '/#x');
  t.equal(located('/api//evil.example/x'), '/evil.example/x');
  t.equal(located('/api/\\evil.example/x'), '/evil.example/x');
  t.equal(located('/other//x'), '/other//x');
  t.equal(located('http://app.internal/api//x'), 'http://example.com//x');
  t.equal(located('http://app.internal/api?x'), 'http://example.com?x');
});

t.test('response: Location may send to HTTPS, at the host that the client has asked', async (t) => {
  const located = (scheme: 'http' | 'https', location: string, host = 'Example.com') => {
    const prefix = { from: '/v1', to: '' };
    const route = { rewrite: { location: true, cookieDomains: [] }, prefix };
    const response = lines('HTTP/1.1 301 Moved Permanently', `Location: ${location}`);
    const out = responseOut({ route, facts: { scheme } }, response, {}, `GET /v1/x\nHost: ${host}`);
    return /Location: (.*)/.exec(out)?.[1];
  };
  // It would come back here, and be sent there again.
  t.equal(located('http', 'https://example.com/x'), 'https://example.com/v1/x');
  t.equal(located('http', 'HTTPS://example.com:443/x'), 'https://example.com:443/v1/x');
  t.equal(located('http', 'https://a:81/x', 'a:81'), 'https://a:81/v1/x');
  t.equal(located('http', '//example.com/x'), 'http://Example.com/v1/x');
  t.equal(located('https', 'http://example.com/x'), 'https://Example.com/v1/x');
  t.equal(located('https', 'https://example.com/x'), 'https://Example.com/v1/x');
});

t.test('response: cookies get the domains that clients see', async (t) => {
  const cookieDomains = [
    { from: 'app.internal', to: 'example.com' },
    { from: 'gone.internal', to: '' },
  ];
  const cookie = (value: string) =>
    responseOut(
      { route: { rewrite: { location: false, cookieDomains } } },
      lines('HTTP/1.1 200 OK', `Set-Cookie: ${value}`),
    ).split('\nSet-Cookie: ')[1];
  t.equal(cookie('a=b; Domain=App.Internal; Path=/'), 'a=b; Domain=example.com; Path=/');
  t.equal(cookie('a=b;domain = .app.internal'), 'a=b; Domain=example.com');
  t.equal(cookie('a=b; Domain=gone.internal; Secure'), 'a=b; Secure');
  t.equal(cookie('a=b; Domain=x.app.internal'), 'a=b; Domain=x.app.internal');
  t.equal(cookie('domain=app.internal; Path=/'), 'domain=app.internal; Path=/');
  t.equal(cookie('a=b; Domain= app.internal ;Secure'), 'a=b; Domain=example.com;Secure');
});

t.test('response: a domain of any length is looked at once', { timeout: 20_000 }, async (t) => {
  const domains = new CookieDomains([{ from: 'app.internal', to: 'example.com' }]);
  // Tried from each space anew it would take minutes, in which nobody is served.
  const value = `a=b; Domain=x${' '.repeat(400_000)}y`;
  t.ok(domains.rewrite(value) === value);
});

t.test(
  'response: a client without the cookie that keeps it at its endpoint gets one',
  async (t) => {
    const listener = (maxAge: number | null, scheme: 'http' | 'https') => ({
      route: { sticky: { cookie: 'gate', maxAge } },
      facts: { scheme },
    });
    const ok = lines('HTTP/1.1 200 OK', 'A: b');
    t.equal(
      responseOut(listener(null, 'http'), ok),
      `${ok}\nSet-Cookie: gate=${FIRST_ID}; Path=/; HttpOnly; SameSite=Lax`,
    );
    t.equal(
      responseOut(listener(60, 'https'), ok),
      `${ok}\nSet-Cookie: gate=${FIRST_ID}; Path=/; Max-Age=60; HttpOnly; SameSite=Lax; Secure`,
    );
    t.equal(responseOut(listener(60, 'https'), ok, {}, 'GET /\nCookie: a=b; gate=x'), ok);
  },
);

t.test(
  'response: a proxy that clients have chosen says so in Via, a gateway does not',
  async (t) => {
    const action = { kind: 'outbound', names: [], wildcards: [], networks: [] } as const;
    const listener = { via: 'edge' };
    const out = (response: string) => responseOut({ ...listener, route: { action } }, response);
    const lengthy = lines('HTTP/1.1 200 OK', 'Via: 1.1 other', 'Content-Length: 5');
    t.equal(out(lengthy), lines(lengthy, 'Via: 1.1 edge'));
    t.equal(
      out(lines('HTTP/1.0 200 OK', 'Content-Length: 5')),
      lines('HTTP/1.1 200 OK', 'Content-Length: 5', 'Via: 1.0 edge'),
    );
    const hints = lines('HTTP/1.1 103 Early Hints', 'Link: </a>');
    t.equal(out(hints), lines(hints, 'Via: 1.1 edge'));
    t.equal(responseOut(listener, lengthy), lengthy);
  },
);

t.test('response: a date is added where there is none, and the listener wants one', async (t) => {
  const bare = lines('HTTP/1.1 200 OK', 'Content-Length: 5');
  const dated = lines(bare, 'Date: Sun, 06 Nov 1994 08:49:37 GMT');
  const listener = { date: true };
  const before = Math.floor(Date.now() / 1000);
  const out = responseOut(listener, bare, { connection: ConnectionLine.close });
  const [, first, date, last] = out.split('\n');
  t.equal(first, 'Content-Length: 5');
  t.match(date, /^Date: \w{3}, \d\d \w{3} \d{4} \d\d:\d\d:\d\d GMT$/);
  const stated = Date.parse(date!.slice('Date: '.length)) / 1000;
  t.ok(stated >= before && stated <= Date.now() / 1000, date);
  t.equal(last, 'Connection: close');
  t.equal(responseOut(listener, dated), dated, 'what is there stays');
  t.equal(responseOut({}, bare), bare, 'nobody has asked for one');
  t.equal(responseOut(listener, 'HTTP/1.1 103 Early Hints'), 'HTTP/1.1 103 Early Hints');
  const removed = { responseHeaders: edits({ remove: ['date'] }) };
  t.equal(responseOut({ ...listener, route: removed }, bare), bare);
  t.equal(responseOut({ ...listener, route: removed }, dated), bare);
  const set = { responseHeaders: edits({ set: [{ name: 'Date', value: ['never'] }] }) };
  t.equal(responseOut({ ...listener, route: set }, bare), lines(bare, 'Date: never'));
});
