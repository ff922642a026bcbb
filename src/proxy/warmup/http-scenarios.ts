import { message } from './message.js';
import {
  bothSidesGone,
  conversation,
  departures,
  hangingUp,
  lastWords,
  type Scenario,
} from './scenarios.js';
import type { RoundTrip } from './warm-up-rig.js';

const HEAD_END = '\r\n\r\n';
const BODY_END = 'over\n';
const LAST_CHUNK = '\r\n0\r\n\r\n';
const CHUNKED_END = LAST_CHUNK.slice(-5);

const small = `hello, ${BODY_END}`;

const get = `GET /some/where?q=1 HTTP/1.1\r\nHost: warm-up.test${HEAD_END}`;
const browserGet =
  'GET /assets/main.css HTTP/1.1\r\nHost: warm-up.test\r\nConnection: keep-alive\r\n' +
  'sec-ch-ua: "Chromium";v="140"\r\nsec-ch-ua-mobile: ?0\r\nsec-ch-ua-platform: "Linux"\r\n' +
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nAccept: text/html,application/xhtml+xml,*/*;q=0.8\r\n' +
  'Sec-Fetch-Site: same-origin\r\nSec-Fetch-Mode: no-cors\r\nSec-Fetch-Dest: style\r\n' +
  'Referer: https://warm-up.test/\r\nAccept-Encoding: gzip, deflate, br, zstd\r\n' +
  `Accept-Language: en-GB,en;q=0.9\r\nCookie: session=0123456789abcdef; theme=dark${HEAD_END}`;

const ok = (body: string, more = '') =>
  message(
    'HTTP/1.1 200 OK\r\nServer: warm-up\r\nDate: Thu, 01 Jan 1970 00:00:00 GMT\r\nContent-Type: text/plain\r\n' +
      `Content-Length: ${body.length}\r\n${more}\r\n${body}`,
  );
const chunked = (...chunks: readonly string[]) =>
  'Transfer-Encoding: chunked\r\n\r\n' +
  chunks.map((chunk) => `${chunk.length.toString(16)}\r\n${chunk}`).join('\r\n') +
  LAST_CHUNK;

/** Requests as they come, and the ends of connections, on both sides. */
export function httpScenarios(): readonly Scenario[] {
  // Beyond what is copied: it is spliced.
  const large = 'x'.repeat(300 * 1024) + BODY_END;
  const greeting = ok(small);
  const simple: RoundTrip = {
    request: message(get),
    requestEnd: HEAD_END,
    response: greeting,
    responseEnd: BODY_END,
  };
  const asked = (request: string, more: Partial<RoundTrip> = {}): RoundTrip => ({
    ...simple,
    request: message(request),
    ...more,
  });
  const answered = (response: string, responseEnd: string): RoundTrip => ({
    ...simple,
    response: message(response),
    responseEnd,
  });

  const post = 'POST /form HTTP/1.1\r\nHost: warm-up.test\r\n';

  return [
    departures(simple),
    departures(
      asked(browserGet, { response: ok(small, 'Cache-Control: max-age=60\r\nETag: "1"\r\n') }),
    ),
    conversation(
      simple,
      { ...simple, response: ok(large) },
      answered(`HTTP/1.1 200 OK\r\n${chunked(small, large)}`, CHUNKED_END),
      answered(`HTTP/1.1 200 OK\r\n${chunked(small, small)}`, CHUNKED_END),
      answered(`HTTP/1.1 304 Not Modified\r\nETag: "1"${HEAD_END}`, HEAD_END),
      asked(`${post}Content-Length: ${small.length}\r\n\r\n${small}`, { requestEnd: BODY_END }),
      asked(`${post}Content-Length: ${large.length}\r\n\r\n${large}`, { requestEnd: BODY_END }),
      asked(`${post}${chunked(small, large)}`, { requestEnd: CHUNKED_END }),
      simple,
    ),
    lastWords(simple),
    lastWords(asked(get.replace(HEAD_END, `\r\nConnection: close${HEAD_END}`))),
    lastWords(asked(get.replace('HTTP/1.1', 'HTTP/1.0'))),
    hangingUp(simple),
    hangingUp({ ...simple, response: ok(small, 'Connection: close\r\n') }),
    bothSidesGone(simple),
    departures(simple),
  ];
}
