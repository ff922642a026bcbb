import { conversation, departures, hangingUp, lastWords, type Scene, stampede } from './scenes.js';
import { line } from './script.js';
import type { Dialogue } from './stage.js';

const HEAD_END = '\r\n\r\n';
const BODY_END = 'over\n';
const LAST_CHUNK = '\r\n0\r\n\r\n';
const CHUNKED_END = LAST_CHUNK.slice(-5);

/** Beyond what is copied: it is spliced. */
const large = 'x'.repeat(300 * 1024) + BODY_END;
const small = `hello, ${BODY_END}`;

const get = `GET /some/where?q=1 HTTP/1.1\r\nHost: rehearsal.test${HEAD_END}`;
const browserGet =
  'GET /assets/main.css HTTP/1.1\r\nHost: rehearsal.test\r\nConnection: keep-alive\r\n' +
  'sec-ch-ua: "Chromium";v="140"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: "Linux"\r\n' +
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n' +
  'Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: style\r\n' +
  'Referer: https://rehearsal.test/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n' +
  `Accept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdef; theme=dark${HEAD_END}`;

const ok = (body: string, more = '') =>
  line(
    'HTTP/1.1 200 OK\r\nServer: rehearsal\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain\r\n' +
      `Content-Length: ${body.length}\r\n${more}\r\n${body}`,
  );
const chunked = (...chunks: readonly string[]) =>
  'Transfer-Encoding: chunked\r\n\r\n' +
  chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}`).join('\r\n') +
  LAST_CHUNK;

const small200 = ok(small);
const simple: Dialogue = {
  question: line(get),
  cue: HEAD_END,
  answer: small200,
  end: BODY_END,
};
const asked = (question: string, more: Partial<Dialogue> = {}): Dialogue => ({
  ...simple,
  question: line(question),
  ...more,
});
const answered = (answer: string, end: string): Dialogue => ({
  ...simple,
  answer: line(answer),
  end,
});

const post = 'POST /form HTTP/1.1\r\nHost: rehearsal.test\r\n';

/** Requests as they come, and the ends of connections, on both sides. */
export const httpScenes: readonly Scene[] = [
  departures(simple),
  departures(
    asked(browserGet, { answer: ok(small, 'Cache-Control: max-age=60\r\nETag: "1"\r\n') }),
  ),
  conversation(
    simple,
    { ...simple, answer: ok(large) },
    answered(`HTTP/1.1 200 OK\r\n${chunked(small, large)}`, CHUNKED_END),
    answered(`HTTP/1.1 200 OK\r\n${chunked(small, small)}`, CHUNKED_END),
    answered(`HTTP/1.1 304 Not Modified\r\nETag: "1"${HEAD_END}`, HEAD_END),
    asked(`${post}Content-Length: ${small.length}\r\n\r\n${small}`, { cue: BODY_END }),
    asked(`${post}Content-Length: ${large.length}\r\n\r\n${large}`, { cue: BODY_END }),
    asked(`${post}${chunked(small, large)}`, { cue: CHUNKED_END }),
    simple,
  ),
  lastWords(simple),
  lastWords(asked(get.replace(HEAD_END, `\r\nConnection: close${HEAD_END}`))),
  lastWords(asked(get.replace('HTTP/1.1', 'HTTP/1.0'))),
  hangingUp(simple),
  hangingUp({ ...simple, answer: ok(small, 'Connection: close\r\n') }),
  stampede(simple),
  departures(simple),
];
