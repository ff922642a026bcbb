import http from 'node:http';
import t from 'tap';
import { ErrorResponses, httpDate, reasonPhrase } from '#src/proxy/http/index.js';

const NOW_MS = Date.UTC(2026, 10, 21, 3, 30, 2, 999);

interface Answer {
  readonly status: string;
  readonly fields: ReadonlyMap<string, string>;
  readonly body: string;
}

function read(response: Buffer): Answer {
  const text = response.toString('latin1');
  const end = text.indexOf('\r\n\r\n');
  const [status, ...lines] = text.slice(0, end).split('\r\n') as [string, ...string[]];
  const pairs = lines.map((line) => line.split(': ') as [string, string]);
  return {
    status,
    fields: new Map(pairs.map(([name, value]) => [name.toLowerCase(), value])),
    body: response.subarray(end + 4).toString(),
  };
}

t.test('error response: a whole response that ends the connection', async (t) => {
  const response = new ErrorResponses().render({ status: 502 }, NOW_MS);
  const { status, fields, body } = read(response);
  t.equal(status, 'HTTP/1.1 502 Bad Gateway');
  t.same(Object.fromEntries(fields), {
    date: 'Sat, 21 Nov 2026 03:30:02 GMT',
    'content-type': 'text/html; charset=utf-8',
    'content-length': `${body.length}`,
    'cache-control': 'no-store',
    connection: 'close',
  });
  t.match(body, /<h1>502 Bad Gateway<\/h1>/);
});

t.test('error response: HTML or JSON, as Accept prefers', async (t) => {
  const responses = new ErrorResponses();
  const typeFor = (accept: string | undefined) =>
    read(responses.render({ status: 503, accept }, NOW_MS)).fields.get('content-type');
  const html = 'text/html; charset=utf-8';
  const json = 'application/json';
  t.equal(typeFor(undefined), html);
  t.equal(typeFor(''), html);
  t.equal(typeFor('*/*'), html);
  t.equal(typeFor('application/json'), json);
  t.equal(typeFor('application/*, text/html;q=0.5'), json);
  t.equal(typeFor('text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8'), html);
  t.equal(typeFor('text/html;q=0, */*'), json);
  t.equal(typeFor('image/png'), html, 'neither is wanted');
  t.equal(typeFor('\x00"\xff;;;,/'), html, 'nonsense');
  t.equal(typeFor(`application/json${', x/y'.repeat(1000)}`), html, 'too long to look at');
});

t.test('error response: HEAD has the length of the body and no body', async (t) => {
  const responses = new ErrorResponses();
  const whole = read(responses.render({ status: 404 }, NOW_MS));
  const head = read(responses.render({ status: 404, isHead: true }, NOW_MS));
  t.same(head, { ...whole, body: '' });
});

t.test('error response: the operator’s words, measured in bytes', async (t) => {
  const html = '<p>Später wieder ☂</p>';
  const responses = new ErrorResponses(new Map([[503, { html }]]));
  const { body, fields } = read(responses.render({ status: 503 }, NOW_MS));
  t.equal(body, html);
  t.equal(fields.get('content-length'), `${Buffer.byteLength(html)}`);
  const json = read(responses.render({ status: 503, accept: 'application/json' }, NOW_MS));
  t.same(
    JSON.parse(json.body),
    { status: 503, error: 'Service Unavailable' },
    'only HTML was given',
  );
});

t.test('error response: further fields, and a connection that stays', async (t) => {
  const responses = new ErrorResponses();
  const fields = 'Retry-After: 3\r\nAllow: GET\r\n';
  const answer = read(responses.render({ status: 405, fields, keepAlive: true }, NOW_MS));
  t.equal(answer.fields.get('retry-after'), '3');
  t.equal(answer.fields.get('allow'), 'GET');
  t.notOk(answer.fields.has('connection'));
});

t.test('error response: a status without a name', async (t) => {
  const { status, body } = read(new ErrorResponses().render({ status: 599 }, NOW_MS));
  t.equal(status, 'HTTP/1.1 599 ');
  t.match(body, /<h1>599<\/h1>/);
});

t.test('reason phrase: as Node has it, and as RFC 9110 renamed two', async (t) => {
  const renamed = new Map([
    [413, 'Content Too Large'],
    [422, 'Unprocessable Content'],
  ]);
  for (let status = 100; status < 600; status++) {
    const phrase = reasonPhrase(status);
    if (phrase === '') continue;
    t.equal(phrase, renamed.get(status) ?? http.STATUS_CODES[status], `${status}`);
  }
});

t.test('http date: a new one each second', async (t) => {
  t.equal(httpDate(0), 'Thu, 01 Jan 1970 00:00:00 GMT');
  t.equal(httpDate(NOW_MS), 'Sat, 21 Nov 2026 03:30:02 GMT');
  t.equal(httpDate(NOW_MS + 1), 'Sat, 21 Nov 2026 03:30:03 GMT');
  t.equal(httpDate(NOW_MS + 1000), 'Sat, 21 Nov 2026 03:30:03 GMT');
});
