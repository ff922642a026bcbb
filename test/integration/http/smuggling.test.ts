// Requests that are known to be framed differently by different servers, sent through the real program: each is refused
// with its status and counted by its reason, or forwarded so that even a lenient server sees what was meant.
import type http from 'node:http';
import net from 'node:net';
import t, { type Test } from 'tap';
import { parseExposition } from '#test/support/control/exposition.js';
import { sleep, within } from '#test/support/deadline.js';
import { bodyOf, HttpRig, request } from '#test/support/http/http-rig.js';
import { freePort } from '#test/support/peers/address.js';

const timeout = { timeout: 60_000 };

/** What a server must never see as a request of its own. */
const HIDDEN = 'GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n';
const post = (fields: string, body = '') =>
  `POST /p HTTP/1.1\r\nHost: a\r\n${fields}\r\n\r\n${body}`;
const get = (fields: string) => `GET / HTTP/1.1\r\n${fields}\r\n\r\n`;
const chunked = (body: string) => post('Transfer-Encoding: chunked', body);

/** Bytes, status and reason. */
const refused: readonly (readonly [string, number, string])[] = [
  // Content-Length against Transfer-Encoding, in both orders and in disguise.
  [
    post(`Content-Length: 4\r\nTransfer-Encoding: chunked`, `0\r\n\r\n${HIDDEN}`),
    400,
    'framing_ambiguous',
  ],
  [
    post(
      `Transfer-Encoding: chunked\r\nContent-Length: ${5 + HIDDEN.length}`,
      `0\r\n\r\n${HIDDEN}`,
    ),
    400,
    'framing_ambiguous',
  ],
  [post('Transfer-Encoding: xchunked', `0\r\n\r\n${HIDDEN}`), 501, 'transfer_coding_unknown'],
  [
    post('Transfer-Encoding: chunked, identity', `0\r\n\r\n${HIDDEN}`),
    400,
    'transfer_coding_not_final',
  ],
  [
    post('Transfer-Encoding: identity, chunked', `0\r\n\r\n${HIDDEN}`),
    501,
    'transfer_coding_unknown',
  ],
  [post('Transfer-Encoding: identity', HIDDEN), 501, 'transfer_coding_unknown'],
  [
    post('Transfer-Encoding: chunked\r\nTransfer-Encoding: identity', `0\r\n\r\n${HIDDEN}`),
    400,
    'transfer_coding_not_final',
  ],
  [post('Transfer-Encoding: gzip, chunked', `0\r\n\r\n${HIDDEN}`), 501, 'transfer_coding_unknown'],
  [
    post('Transfer-Encoding: chunked, chunked', `0\r\n\r\n${HIDDEN}`),
    400,
    'transfer_coding_not_final',
  ],
  [post('Transfer-Encoding: "chunked"', `0\r\n\r\n${HIDDEN}`), 400, 'transfer_encoding_malformed'],
  [post('Transfer-Encoding:\x0bchunked', `0\r\n\r\n${HIDDEN}`), 400, 'control_character'],
  [post('Transfer-Encoding: chunked\x00', `0\r\n\r\n${HIDDEN}`), 400, 'control_character'],
  [
    post('Transfer-Encoding: \u00e7hunked', `0\r\n\r\n${HIDDEN}`),
    400,
    'transfer_encoding_malformed',
  ],
  [post('Transfer-Encoding:', HIDDEN), 400, 'transfer_encoding_malformed'],
  [post('Transfer-Encoding : chunked', `0\r\n\r\n${HIDDEN}`), 400, 'space_before_colon'],
  [post('Transfer-Encoding\t: chunked', `0\r\n\r\n${HIDDEN}`), 400, 'space_before_colon'],
  [post(' Transfer-Encoding: chunked', `0\r\n\r\n${HIDDEN}`), 400, 'obs_fold'],
  [post('X: y\r\n Transfer-Encoding: chunked', `0\r\n\r\n${HIDDEN}`), 400, 'obs_fold'],
  [
    post('Transfer-Encoding:\r\n chunked', `0\r\n\r\n${HIDDEN}`),
    400,
    'transfer_encoding_malformed',
  ],
  [post('Transfer-\x00Encoding: chunked', `0\r\n\r\n${HIDDEN}`), 400, 'field_name_malformed'],
  [post('X: y\nTransfer-Encoding: chunked', `0\r\n\r\n${HIDDEN}`), 400, 'bare_lf'],
  [post('X: y\rTransfer-Encoding: chunked', `0\r\n\r\n${HIDDEN}`), 400, 'bare_cr'],
  [
    `POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n${HIDDEN}`,
    400,
    'transfer_encoding_http_1_0',
  ],
  // Lengths.
  [post('Content-Length: 0\r\nContent-Length: 34', HIDDEN), 400, 'content_length_repeated'],
  [post('Content-Length: 5\r\nContent-Length: 5', 'hello'), 400, 'content_length_repeated'],
  [post('Content-Length: 0, 34', HIDDEN), 400, 'content_length_malformed'],
  [post('Content-Length: +5', 'hello'), 400, 'content_length_malformed'],
  [post('Content-Length: -5', 'hello'), 400, 'content_length_malformed'],
  [post('Content-Length: 0x5', 'hello'), 400, 'content_length_malformed'],
  [post('Content-Length: 05', 'hello'), 400, 'content_length_malformed'],
  [post('Content-Length: 5 5', 'hello'), 400, 'content_length_malformed'],
  [post('Content-Length: 5.0', 'hello'), 400, 'content_length_malformed'],
  [post('Content-Length:', HIDDEN), 400, 'content_length_malformed'],
  [post('Content-Length: 18446744073709551616', HIDDEN), 413, 'content_length_too_large'],
  [post('Content-Length: 9007199254740992', HIDDEN), 413, 'content_length_too_large'],
  // Chunks.
  [chunked(`+5\r\nhello\r\n0\r\n\r\n`), 400, 'chunk_size_malformed'],
  [chunked(`-5\r\nhello\r\n0\r\n\r\n`), 400, 'chunk_size_malformed'],
  [chunked(`0x5\r\nhello\r\n0\r\n\r\n`), 400, 'chunk_size_malformed'],
  [chunked(` 5\r\nhello\r\n0\r\n\r\n`), 400, 'chunk_size_malformed'],
  [chunked(`5_0\r\nhello\r\n0\r\n\r\n`), 400, 'chunk_size_malformed'],
  [chunked(`\r\n5\r\nhello\r\n0\r\n\r\n`), 400, 'chunk_size_malformed'],
  [chunked(`10000000000000005\r\nhello\r\n0\r\n\r\n`), 413, 'chunk_size_too_large'],
  [chunked(`ffffffffffffffff\r\nhello`), 413, 'chunk_size_too_large'],
  [chunked(`5\nhello\r\n0\r\n\r\n`), 400, 'bare_lf'],
  [chunked(`5\rhello\r\n0\r\n\r\n`), 400, 'bare_cr'],
  [chunked(`5;a\nb\r\nhello\r\n0\r\n\r\n`), 400, 'bare_lf'],
  [chunked(`5;a=\x00\r\nhello\r\n0\r\n\r\n`), 400, 'chunk_extension_malformed'],
  [chunked(`2\r\nxx34\r\n0\r\n\r\n`), 400, 'chunk_unterminated'],
  [chunked(`5\r\nhello\n0\r\n\r\n`), 400, 'chunk_unterminated'],
  [chunked(`0\r\nContent-Length: 5\r\n\r\n`), 400, 'trailer_forbidden'],
  [chunked(`0\r\nHost: b\r\n\r\n`), 400, 'trailer_forbidden'],
  [chunked(`0\r\nX: y\n\r\n`), 400, 'bare_lf'],
  // Whom it is for.
  [get('X: y'), 400, 'host_missing'],
  [get('Host: a\r\nHost: b'), 400, 'host_repeated'],
  [get('Host: a\r\nhOsT: a'), 400, 'host_repeated'],
  [get('Host : a'), 400, 'space_before_colon'],
  [get('Host: a b'), 400, 'host_malformed'],
  [get('Host: a@b'), 400, 'host_malformed'],
  [get('Host: a/hidden'), 400, 'host_malformed'],
  ['GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'host_mismatch'],
  ['GET http://a@b/ HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'target_authority'],
  // First lines.
  ['GET /\r\n', 400, 'version_missing'],
  ['GET / HTTP/0.9\r\n\r\n', 505, 'version_unsupported'],
  ['GET / HTTP/2.0\r\nHost: a\r\n\r\n', 505, 'version_unsupported'],
  ['GET / HTTP/1.1\nHost: a\n\n', 400, 'bare_lf'],
  ['GET  / HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'target_malformed'],
  ['GET / x HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'version_malformed'],
  ['GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n', 400, 'target_malformed'],
  ['get / HTTP/1.1\r\nHost: a\r\n\r\n', 501, 'method_case'],
  [`${'A'.repeat(40)} / HTTP/1.1\r\nHost: a\r\n\r\n`, 501, 'method_too_long'],
  ['PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 505, 'http_2_preface'],
  [`GET /${'a'.repeat(100_000)} HTTP/1.1\r\nHost: a\r\n\r\n`, 414, 'target_too_long'],
  [get(`Host: a\r\nX: ${'a'.repeat(100_000)}`), 431, 'head_too_large'],
  [get(`Host: a\r\n${'X: y\r\n'.repeat(2000)}X: z`), 431, 'headers_too_many'],
  [post('Expect: 200-ok\r\nContent-Length: 5', 'hello'), 417, 'expectation_unknown'],
  ['CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\nContent-Length: 5\r\n\r\nhello', 400, 'connect_body'],
];

/** Bytes, and the requests a server is to see. */
const forwarded: readonly (readonly [string, readonly string[]])[] = [
  [post(`Content-Length: ${HIDDEN.length}`, HIDDEN), [`POST /p ${HIDDEN}`]],
  [
    `GET / HTTP/1.1\r\nHost: a\r\nContent-Length: ${HIDDEN.length}\r\n\r\n${HIDDEN}`,
    [`GET / ${HIDDEN}`],
  ],
  [post('content-LENGTH: 5', 'hello'), ['POST /p hello']],
  [post('tRANSFER-eNCODING: cHUNKED', '5\r\nhello\r\n0\r\n\r\n'), ['POST /p hello']],
  [chunked(`${HIDDEN.length.toString(16)}\r\n${HIDDEN}\r\n0\r\n\r\n`), [`POST /p ${HIDDEN}`]],
  [
    chunked(`0000000005;a="${'x'.repeat(50)}\\""\r\nhello\r\n0\r\nX-Sum: 1\r\n\r\n`),
    ['POST /p hello'],
  ],
  [`${chunked('0\r\n\r\n')}GET /2 HTTP/1.1\r\nHost: a\r\n\r\n`, ['POST /p ', 'GET /2 ']],
  // What only looks like framing, and what an upstream may take for it.
  [post('Connection: Content-Length\r\nContent-Length: 5', 'hello'), ['POST /p hello']],
  [
    post('Connection: Transfer-Encoding\r\nTransfer-Encoding: chunked', '5\r\nhello\r\n0\r\n\r\n'),
    ['POST /p hello'],
  ],
  [post('Content_Length: 50\r\nContent-Length: 5', 'hello'), ['POST /p hello']],
  [post('Transfer_Encoding: chunked\r\nContent-Length: 5', 'hello'), ['POST /p hello']],
  [post('X: \u0080\u00ff\r\nContent-Length: 5', 'hello'), ['POST /p hello']],
  ['HEAD / HTTP/1.1\r\nHost: a\r\n\r\nGET /2 HTTP/1.1\r\nHost: a\r\n\r\n', ['HEAD / ', 'GET /2 ']],
];

class Bench {
  seen: string[] = [];
  private constructor(
    readonly rig: HttpRig,
    private readonly adminPort: number,
  ) {}

  /** @param listener keys of the listener's `http`; one route to the server unless said */
  static async start(
    t: Test,
    serverOptions: http.ServerOptions,
    listener?: object,
  ): Promise<Bench> {
    const port = await freePort();
    const rig = await HttpRig.start(
      t,
      async (message, response) => {
        const body = await bodyOf(message).catch(() => undefined);
        if (body !== undefined) bench.seen.push(`${message.method} ${message.url} ${body}`);
        response.end();
      },
      {
        serverOptions,
        config: { admin: { bind: `127.0.0.1:${port}` } },
        ...(listener === undefined ? {} : { http: listener }),
      },
    );
    const bench = new Bench(rig, port);
    return bench;
  }

  /** Sends bytes and the end; of several pieces each after a while. @returns everything that is answered */
  async ask(...pieces: readonly string[]): Promise<string> {
    const socket = net.connect(this.rig.port, '127.0.0.1');
    let answer = '';
    socket.setEncoding('latin1').on('data', (text: string) => {
      answer += text;
    });
    socket.on('error', () => {});
    const closed = new Promise((resolve) => socket.once('close', resolve));
    for (const [index, piece] of pieces.entries()) {
      if (index > 0) await sleep(50);
      socket.write(Buffer.from(piece, 'latin1'));
    }
    socket.end();
    await within(10_000, pieces.join('').slice(0, 200), closed);
    return answer;
  }

  async rejections(): Promise<ReadonlyMap<string, number>> {
    const { body } = await request(`http://127.0.0.1:${this.adminPort}/metrics`);
    const family = parseExposition(`${body}`).get('headgate_http_requests_rejected_total');
    return new Map(family!.samples.map(({ labels, value }) => [labels.reason!, value]));
  }
}

for (const insecureHTTPParser of [false, true]) {
  const who = insecureHTTPParser ? 'a lenient server' : 'a strict server';
  t.test(`http smuggling: nothing gets past to ${who}`, timeout, async (t) => {
    const bench = await Bench.start(t, { insecureHTTPParser });
    const expected = new Map<string, number>();
    for (const [bytes, status, reason] of refused) {
      const what = JSON.stringify(bytes.slice(0, 120));
      bench.seen = [];
      const answer = await bench.ask(bytes);
      t.match(answer, new RegExp(`^HTTP/1\\.1 ${status} `), `${what}: ${status}`);
      t.match(answer, /^Connection: close\r$/im, 'and the connection ends');
      t.equal(answer.split('HTTP/1.1 ').length, 2, 'one answer');
      t.same(bench.seen, [], `${what}: nobody else has seen a whole request`);
      expected.set(reason, (expected.get(reason) ?? 0) + 1);
    }
    for (const [bytes, requests] of forwarded) {
      bench.seen = [];
      const answer = await bench.ask(bytes);
      t.same(bench.seen, requests, JSON.stringify(bytes.slice(0, 120)));
      t.equal(answer.split('HTTP/1.1 200').length - 1, requests.length, 'as many answers');
    }
    let counted: ReadonlyMap<string, number> = new Map();
    const counts = () => Object.fromEntries([...counted].filter(([, value]) => value > 0).sort());
    const wanted = Object.fromEntries([...expected].sort());
    for (let attempt = 0; attempt < 20; attempt++) {
      counted = await bench.rejections();
      if (JSON.stringify(counts()) === JSON.stringify(wanted)) break;
      await sleep(50);
    }
    t.same(counts(), wanted, 'each is counted by its reason');
    await bench.rig.finish();
  });
}

t.test('http smuggling: trailers do not say what a route says', timeout, async (t) => {
  const request_headers = {
    set: { 'x-user': 'nobody' },
    remove: ['X-Int-*'],
    add: { 'x-add': '1' },
  };
  const routes = [
    { match: { path: '/other' }, upstream: 'origin', request_headers },
    { upstream: 'origin' },
  ];
  const bench = await Bench.start(t, {}, { routes });
  const refusedNames = ['X-User', 'x_user', 'X-INT-a', 'x-int-', 'X_Int_Id', 'X-Request-Id'];
  const passed = ['X-User-Agent', 'X-Int', 'X-Add', 'AX-Int-b'];
  for (const isApart of [false, true]) {
    for (const name of [...refusedNames, ...passed]) {
      bench.seen = [];
      const pieces = [chunked('5\r\nhello\r\n0\r\n'), `A: b\r\n${name}: root\r\n\r\n`];
      const answer = await bench.ask(...(isApart ? pieces : [pieces.join('')]));
      const isRefused = refusedNames.includes(name);
      t.match(
        answer,
        isRefused ? /^HTTP\/1\.1 400 / : /^HTTP\/1\.1 200 /,
        `${name}, ${isApart ? 'apart' : 'at once'}`,
      );
      t.same(bench.seen, isRefused ? [] : ['POST /p hello'], name);
    }
  }
  const counted = await bench.rejections();
  t.equal(counted.get('trailer_forbidden'), 2 * refusedNames.length);
  await bench.rig.finish();
});
