import t from 'tap';
import { HeadWriter } from '#src/proxy/http/message/head-writer.js';
import { headOf, networks } from '../requests.js';
import { FIRST_ID, fields, policyOf, requestOut } from './exchange-rig.js';

const lines = (...all: string[]) => all.join('\n');
const edits = (some: object) => ({ set: [], add: [], remove: [], ...some });

t.test('request: what nobody asks to change goes on as it came', async (t) => {
  const request = lines(
    'POST /a//b/%7e?x=1&y HTTP/1.1',
    'Host:  example.com:8080 ',
    'content-LENGTH: 5',
    'X-Odd:\t"a", \xe9 ',
    'Expect: 100-continue',
    'Trailer: x-sum',
    'traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    'X-Request-Id: mine',
  );
  t.equal(requestOut({}, request), request);
});

t.test('request: what is for one hop stays on it', async (t) => {
  const request = lines(
    'GET / HTTP/1.1',
    'Connection: keep-alive, X-Own, close',
    'Host: example.com',
    'Keep-Alive: timeout=5',
    'Proxy-Connection: keep-alive',
    'X-Own: 1',
    'x-Other: 2',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABk',
    'Proxy-Authorization: Basic eDp5',
    'TE: gzip',
    'Accept: */*',
  );
  const expected = lines('GET / HTTP/1.1', 'Host: example.com', 'x-Other: 2', 'Accept: */*');
  t.equal(requestOut({}, request), expected);
});

t.test('request: Connection takes nothing away that others rely on', async (t) => {
  const request = lines(
    'POST / HTTP/1.1',
    'Connection: Host, Content-Length, Cookie, X-Forwarded-For',
    'Host: example.com',
    'Content-Length: 5',
    'Cookie: a=b',
    'X-Forwarded-For: 10.0.0.1',
  );
  const expected = lines(
    'POST / HTTP/1.1',
    'Host: example.com',
    'Content-Length: 5',
    'X-Forwarded-For: 192.0.2.1',
    'X-Forwarded-Proto: http',
    'X-Forwarded-Host: example.com',
  );
  t.equal(requestOut({ xForwarded: true }, request), expected);
});

t.test('request: TE goes on for trailers, and Connection says so', async (t) => {
  const request = lines('GET / HTTP/1.1', 'Host: a', 'TE: gzip, Trailers', 'Connection: TE');
  const expected = lines('GET / HTTP/1.1', 'Host: a', 'Connection: te', 'TE: trailers');
  t.equal(requestOut({}, request), expected);
});

t.test('request: an upgrade goes on when it is meant to', async (t) => {
  const request = lines(
    'GET /chat HTTP/1.1',
    'Host: a',
    'Connection: keep-alive, Upgrade',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
  );
  const expected = lines(
    'GET /chat HTTP/1.1',
    'Host: a',
    'Upgrade: websocket',
    'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==',
    'Connection: upgrade',
  );
  t.equal(requestOut({}, request, { isUpgrade: true }), expected);
  t.notMatch(requestOut({}, request), /upgrade/i);
});

t.test('request: Max-Forwards is counted down where it means something', async (t) => {
  const out = (method: string, value: string) =>
    requestOut({}, lines(`${method} /`, 'Host: a', `max-forwards: ${value}`, 'X: 1'));
  for (const method of ['OPTIONS', 'TRACE']) {
    const counted = lines(`${method} / HTTP/1.1`, 'Host: a', 'X: 1', 'Max-Forwards: 9');
    t.equal(out(method, '10'), counted);
    t.match(out(method, '1000000000'), '\nMax-Forwards: 999999999');
    t.match(out(method, '9'.repeat(400)), '\nMax-Forwards: 999999999', 'the most that is counted');
    t.match(out(method, 'many'), 'max-forwards: many');
  }
  t.match(out('GET', '10'), 'max-forwards: 10');
});

t.test('request: Expect goes no further without a body, and from HTTP/1.0', async (t) => {
  const expect = 'Expect: 100-continue';
  t.equal(requestOut({}, lines('GET /', 'Host: a', expect)), lines('GET / HTTP/1.1', 'Host: a'));
  const old = lines('PUT / HTTP/1.0', 'Host: a', expect, 'Content-Length: 1');
  t.equal(requestOut({}, old), lines('PUT / HTTP/1.1', 'Host: a', 'Content-Length: 1'));
});

t.test('request: Expect without an expectation goes no further', async (t) => {
  for (const expect of ['Expect:', 'Expect: , ,']) {
    const request = lines('PUT / HTTP/1.1', 'Host: a', expect, 'Content-Length: 1');
    t.equal(requestOut({}, request), lines('PUT / HTTP/1.1', 'Host: a', 'Content-Length: 1'));
  }
});

t.test('request: Expect goes no further once the client was told to go on', async (t) => {
  const request = lines('PUT / HTTP/1.1', 'Host: a', 'Expect: 100-continue', 'Content-Length: 1');
  t.equal(
    requestOut({}, request, { dropsExpect: true }),
    lines('PUT / HTTP/1.1', 'Host: a', 'Content-Length: 1'),
  );
});

t.test('request: the target is in origin form and the version is ours', async (t) => {
  const line = (request: string) => requestOut({}, request).split('\n')[0];
  t.equal(line('GET http://example.com:80/a?b\nHost: example.com'), 'GET /a?b HTTP/1.1');
  t.equal(line('GET http://example.com'), 'GET / HTTP/1.1');
  t.equal(line('GET http://example.com?b'), 'GET /?b HTTP/1.1');
  t.equal(line('OPTIONS http://example.com'), 'OPTIONS * HTTP/1.1');
  t.equal(line('OPTIONS http://example.com?b'), 'OPTIONS /?b HTTP/1.1');
  t.equal(line('OPTIONS *'), 'OPTIONS * HTTP/1.1');
  t.equal(line('GET /? HTTP/1.0'), 'GET /? HTTP/1.1');
});

t.test('request: Host is the client’s, the endpoint’s, or a text', async (t) => {
  const host = (given: 'preserve' | 'upstream' | 'text', request: string) => {
    const value = given === 'text' ? [{ variable: 'host' as const }, '.internal'] : given;
    return requestOut({ route: { host: value } }, request)
      .split('\n')
      .slice(1);
  };
  const request = 'GET /\nhost: Example.com:81\nAccept: a';
  t.strictSame(host('preserve', request), ['host: Example.com:81', 'Accept: a']);
  t.strictSame(host('upstream', request), ['Accept: a', 'Host: 127.0.0.1:3000']);
  t.strictSame(host('text', request), ['Accept: a', 'Host: Example.com.internal']);
  // HTTP/1.0 may come without one; an upstream of HTTP/1.1 must not.
  const bare = Buffer.from('GET http://a.example:81/ HTTP/1.0\r\n\r\n');
  const { policy, client } = policyOf();
  const head = headOf('GET / HTTP/1.0\nHost: x');
  const out = new HeadWriter().begin(Buffer.alloc(1000));
  for (const [bytes, expected] of [
    [bare, 'GET / HTTP/1.1\r\nHost: a.example:81\r\n\r\n'],
    // An empty line before the request is not passed on.
    [Buffer.from('\r\nGET /? HTTP/1.1\r\nHost: a\r\n\r\n'), 'GET /? HTTP/1.1\r\nHost: a\r\n\r\n'],
    [Buffer.from('GET / HTTP/1.0\r\n\r\n'), 'GET / HTTP/1.1\r\nHost: 127.0.0.1:3000\r\n\r\n'],
  ] as const) {
    t.equal(head.parse(bytes, 0, bytes.length), bytes.length);
    policy.begin(head, client);
    policy.choose();
    const delivery = { isUpgrade: false, dropsExpect: false };
    policy.route!.request.write(policy, delivery, out.begin(out.bytes));
    t.equal(out.bytes.toString('latin1', 0, out.length), expected);
  }
});

const prefixes: [from: string, to: string, sent: string, expected: string][] = [
  ['/v1', '', '/v1/users?x', '/users?x'],
  ['/v1', '', '/v1', '/'],
  ['/v1', '', '/v1?x', '/?x'],
  ['/v1', '', '/v1/', '/'],
  ['/v1', '', '/v10/users', '/v10/users'],
  ['/v1', '', '/V1/users', '/V1/users'],
  ['/v1', '', '/%76%31/us%65rs|', '/us%65rs|'],
  ['/v1', '', '//v1//users//x', '/users//x'],
  ['/v1', '', '/v1//evil.example/', '/evil.example/'],
  ['/v1', '', '/v1/a/../../v1/x', '/x'],
  ['/v1', '/api/2', '/v1/users', '/api/2/users'],
  ['/v1', '/api/2', '/v1', '/api/2'],
  ['/v1', '/public', '/v1/a/../../v1/x', '/public/x'],
  ['', '/app', '/x', '/app/x'],
  ['', '/app', '/', '/app/'],
  ['', '/app', 'http://example.com', '/app/'],
  ['/a%7Cb', '', '/a|b/c|d', '/c|d'],
];
for (const [from, to, sent, expected] of prefixes) {
  t.test(
    `request: ${sent} with ${from || '/'} replaced by ${to || '/'} is ${expected}`,
    async (t) => {
      const text = requestOut({ route: { prefix: { from, to } } }, `GET ${sent}`);
      t.equal(text.split('\n')[0], `GET ${expected} HTTP/1.1`);
    },
  );
}

t.test('request: what strangers say about a client is taken out', async (t) => {
  const request = lines(
    'GET / HTTP/1.1',
    'X-Forwarded-For: 10.0.0.1',
    'X-Forwarded-Proto: https',
    'Host: example.com:8080',
    'x-forwarded-host: evil',
    'X-Forwarded-Port: 1',
    'X-Real-IP: 10.0.0.1',
    'Forwarded: for=10.0.0.1',
    'Accept: a',
  );
  const kept = ['GET / HTTP/1.1', 'Host: example.com:8080', 'Accept: a'];
  t.equal(requestOut({}, request), lines(...kept));
  t.equal(
    requestOut({ xForwarded: true }, request),
    lines(
      ...kept,
      'X-Forwarded-For: 192.0.2.1',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: example.com:8080',
    ),
  );
  const v6 = { source: { family: 'inet6' as const, host: '2001:db8::1', port: 1 } };
  t.equal(
    requestOut({ forwarded: true, facts: { ...v6, scheme: 'https' } }, request),
    lines(...kept, 'Forwarded: for="[2001:db8::1]";proto=https;host="example.com:8080"'),
  );
  const unix = { source: { family: 'unix' as const, path: '' } };
  t.equal(
    requestOut({ xForwarded: true, forwarded: true, facts: unix }, 'GET /\nHost: a'),
    lines(
      'GET / HTTP/1.1',
      'Host: a',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: a',
      'Forwarded: for=unknown;proto=http;host=a',
    ),
  );
});

t.test('request: what CGI would take for a field of ours is taken out as well', async (t) => {
  const request = lines(
    'GET / HTTP/1.1',
    'Host: example.com',
    'X_Forwarded_For: 10.0.0.1',
    'x-forwarded_proto: https',
    'X_Own: 1',
    'Content_Type: x',
  );
  const expected = lines(
    'GET / HTTP/1.1',
    'Host: example.com',
    'X_Own: 1',
    'Content_Type: x',
    'X-Forwarded-For: 192.0.2.1',
    'X-Forwarded-Proto: http',
    'X-Forwarded-Host: example.com',
  );
  t.equal(requestOut({ xForwarded: true }, request), expected);
});

t.test('request: nor does another spelling get around what a route sets or removes', async (t) => {
  const request = lines(
    'GET / HTTP/1.1',
    'Host: a',
    'X_User: admin',
    'x_auth-token: 1',
    'X_Other: 2',
    'X_Gone: 3',
  );
  const requestHeaders = edits({
    set: fields({ 'X-User': 'guest' }),
    remove: ['x-gone', 'x-auth-*'],
  });
  t.equal(
    requestOut({ route: { requestHeaders } }, request),
    lines('GET / HTTP/1.1', 'Host: a', 'X_Other: 2', 'X-User: guest'),
  );
});

t.test('request: Connection takes nothing of a trusted proxy’s away', async (t) => {
  const told = [
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: b',
    'X-Forwarded-Port: 443',
    'X-Real-IP: 10.0.0.1',
    'Forwarded: for=10.0.0.1',
  ];
  const names = told.map((line) => line.split(':')[0]).join(', ');
  const request = lines('GET / HTTP/1.1', 'Host: a', `Connection: ${names}`, ...told);
  const trustedProxies = networks('192.0.2.0/24');
  t.equal(
    requestOut({ xForwarded: true, trustedProxies }, request),
    lines('GET / HTTP/1.1', 'Host: a', ...told, 'X-Forwarded-For: 192.0.2.1'),
  );
});

t.test('request: what a trusted proxy says is passed on, and it is added itself', async (t) => {
  const trustedProxies = networks('192.0.2.0/24');
  const request = lines(
    'GET / HTTP/1.1',
    'X-Forwarded-For: 10.0.0.1',
    'Host: inner',
    'X-Forwarded-Proto: https',
    'X-Forwarded-Host: example.com',
    'X-Forwarded-For: 198.51.100.7 ,192.0.2.9',
    'Forwarded: for=10.0.0.1',
  );
  t.equal(
    requestOut({ xForwarded: true, forwarded: true, trustedProxies }, request),
    lines(
      'GET / HTTP/1.1',
      'Host: inner',
      'X-Forwarded-Proto: https',
      'X-Forwarded-Host: example.com',
      'Forwarded: for=10.0.0.1',
      'X-Forwarded-For: 10.0.0.1, 198.51.100.7 ,192.0.2.9, 192.0.2.1',
      'Forwarded: for=192.0.2.1;proto=http;host=inner',
    ),
  );
  t.equal(
    requestOut({ xForwarded: true, trustedProxies }, 'GET / HTTP/1.1\nHost: a\nX-Forwarded-For:'),
    lines(
      'GET / HTTP/1.1',
      'Host: a',
      'X-Forwarded-For: 192.0.2.1',
      'X-Forwarded-Proto: http',
      'X-Forwarded-Host: a',
    ),
  );
});

t.test('request: Via says which version came in', async (t) => {
  const via = (request: string) =>
    requestOut({ via: 'edge-1' }, request)
      .split('\n')
      .filter((line) => /^via/i.test(line));
  t.strictSame(via('GET /'), ['Via: 1.1 edge-1']);
  t.strictSame(via('GET / HTTP/1.0\nVia: 1.0 x'), ['Via: 1.0 x', 'Via: 1.0 edge-1']);
});

t.test('request: an id is kept, or made, or left alone', async (t) => {
  const ids = (requestId: 'keep' | 'make' | 'off', ...given: string[]) => {
    const sent = given.map((id) => `X-Request-Id: ${id}`).join('\n');
    const out = requestOut({ requestId }, `GET / HTTP/1.1\n${sent}`).split('\n');
    return out.filter((line) => line.startsWith('X-R')).map((line) => line.slice(14));
  };
  t.strictSame(ids('keep'), [FIRST_ID]);
  t.strictSame(ids('keep', 'a b'), ['a b']);
  t.strictSame(ids('keep', ''), [FIRST_ID]);
  t.strictSame(ids('keep', 'x'.repeat(201)), [FIRST_ID]);
  t.strictSame(ids('make', 'a'), [FIRST_ID]);
  t.strictSame(ids('off'), []);
  t.strictSame(ids('off', 'a'), ['a']);
});

t.test('request: fields are removed, set and added', async (t) => {
  const requestHeaders = edits({
    set: fields({ 'x-env': 'prod', Accept: 'b' }),
    add: fields({ 'X-Add': '$client_ip:$client_port', 'x-env': 'two' }),
    remove: ['cookie', 'x-in-*', 'x-gone'],
  });
  const request = lines(
    'GET / HTTP/1.1',
    'Accept: a',
    'Host: a',
    'X-ENV: test',
    'Cookie: a=b',
    'X-In-A: 1',
    'x-in-b: 1',
    'x-in: stays',
    'X-Gone: 1',
    'X-Add: 1',
    'Cookie: c=d',
  );
  const expected = lines(
    'GET / HTTP/1.1',
    'Host: a',
    'x-in: stays',
    'X-Add: 1',
    'x-env: prod',
    'Accept: b',
    'X-Add: 192.0.2.1:40000',
    'x-env: two',
  );
  t.equal(requestOut({ route: { requestHeaders } }, request), expected);
});

t.test('request: a pattern of names takes no framing away', async (t) => {
  const requestHeaders = edits({ remove: ['c*', 'h*', 't*', 'e*'] });
  const request = lines(
    'PUT / HTTP/1.1',
    'Host: a',
    'Content-Length: 1',
    'Content-Type: b',
    'ETag: c',
  );
  t.equal(
    requestOut({ route: { requestHeaders } }, request),
    lines('PUT / HTTP/1.1', 'Host: a', 'Content-Length: 1'),
  );
  const chunked = lines('PUT / HTTP/1.1', 'Host: a', 'Transfer-Encoding: chunked', 'Trailer: b');
  t.equal(requestOut({ route: { requestHeaders } }, chunked), chunked);
});

t.test('request: every variable, and empty values leave their fields out', async (t) => {
  const set = fields({
    'x-1': '$client_ip|$peer_ip|$client_port',
    'x-2': '$host|$method|$path|$query|$uri|$scheme',
    'x-3': '$listener|$route|$upstream|$request_id',
    'x-4': '$sni|$tls_subject|$tls_version',
    'x-5': '$query',
    'x-6': '',
  });
  const out = (request: string, facts = {}) =>
    requestOut({ route: { requestHeaders: edits({ set }) }, facts, requestId: 'make' }, request)
      .split('\n')
      .slice(2);
  t.strictSame(out('GET /a/b?c=d\nHost: x.example:81'), [
    `X-Request-Id: ${FIRST_ID}`,
    'x-1: 192.0.2.1|192.0.2.1|40000',
    'x-2: x.example|GET|/a/b|c=d|/a/b?c=d|http',
    `x-3: web|route|app|${FIRST_ID}`,
    'x-4: ||',
    'x-5: c=d',
  ]);
  const tls = {
    serverName: 'sni.example',
    tlsSubject: 'CN=a\r\nX-Evil: é',
    tlsVersion: 'TLSv1.3',
    scheme: 'https' as const,
  };
  t.match(out('GET /\nHost: a', tls).join('\n'), 'x-4: sni.example|CN=a??X-Evil: ?|TLSv1.3');
  t.notMatch(out('GET /\nHost: a').join('\n'), 'x-5');
});

t.test(
  'request: a head that does not fit is said to be too long, and nothing else is touched',
  async (t) => {
    const { policy, client } = policyOf({ via: 'headgate', xForwarded: true, requestId: 'make' });
    policy.begin(headOf(`GET /${'a'.repeat(100)}\nX-A: ${'b'.repeat(100)}`), client);
    const delivery = { isUpgrade: false, dropsExpect: false };
    const out = new HeadWriter();
    policy.route!.request.write(policy, delivery, out.begin(Buffer.alloc(4096)));
    const needed = out.length;
    for (let room = 0; room <= needed; room++) {
      const memory = Buffer.alloc(needed + 10, '!');
      policy.route!.request.write(policy, delivery, out.begin(memory.subarray(0, room)));
      if (out.isFull === (room === needed)) t.fail(`${room} of ${needed} bytes: ${out.isFull}`);
      if (!memory.subarray(room).every((byte) => byte === 0x21)) t.fail(`${room}: written beyond`);
    }
  },
);
