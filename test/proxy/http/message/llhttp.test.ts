import t from 'tap';
import { Method } from '#src/proxy/http/index.js';
import { clientReading, serverReading } from '#test/support/http/llhttp.js';
import { goldenCases } from './golden.js';
import { requestDifference, responseDifference } from './llhttp-difference.js';
import { readRequests, readResponses } from './messages.js';

t.test('llhttp: a golden request that is accepted is read in the same way', async (t) => {
  let compared = 0;
  for (const { name, bytes } of goldenCases('request-')) {
    const ours = readRequests(bytes);
    const theirs = await serverReading([bytes]);
    t.equal(requestDifference(ours, theirs), undefined, name);
    compared += ours.messages.length;
  }
  t.ok(compared > 40, `${compared} messages`);
});

t.test('llhttp: a golden chunked body has the same end', async (t) => {
  const head = Buffer.from('POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n');
  const next = Buffer.from('GET /next HTTP/1.1\r\nHost: a\r\n\r\n');
  for (const { name, bytes } of goldenCases('chunked-')) {
    const stream = Buffer.concat([head, bytes, next]);
    const ours = readRequests(stream);
    t.equal(requestDifference(ours, await serverReading([stream])), undefined, name);
  }
});

t.test('llhttp: a golden response that is accepted is read in the same way', async (t) => {
  for (const { name, bytes } of goldenCases('response-')) {
    const method = (/^\((\w+)\)/.exec(name)?.[1] ?? 'GET') as keyof typeof Method;
    const ours = readResponses(bytes, Method[method]);
    const theirs = await clientReading([bytes], method);
    t.equal(responseDifference(ours, theirs, method), undefined, name);
  }
});
