import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Reply, refusal } from './reply.js';

export const BODY_BYTES_MAX = 64 * 1024;
/**
 * Of a body that nobody wants so much is read all the same: a client that is still writing when the
 * connection closes may lose the answer.
 */
const DROPPED_BYTES_MAX = 1024 * 1024;

type Ending = 'whole' | 'endless' | 'cut short';

/**
 * Reads a request's body, whole.
 *
 * @returns the body, empty if there is none, or the answer to one that is too long or cut short
 */
export async function readBody(
  request: IncomingMessage,
  response: ServerResponse,
): Promise<Buffer | Reply> {
  const tooLong = refusal(413, `the body is too long, expected at most ${BODY_BYTES_MAX} bytes`);
  if (awaitsContinue(request)) {
    if (Number(request.headers['content-length']) > BODY_BYTES_MAX) return tooLong;
    response.writeContinue();
  }
  const chunks: Buffer[] = [];
  let bytes = 0;
  const ending = await receive(request, (chunk) => {
    bytes += chunk.length;
    if (bytes <= BODY_BYTES_MAX) chunks.push(chunk);
  });
  if (ending === 'cut short') return refusal(400, 'the body was cut short');
  return bytes > BODY_BYTES_MAX ? tooLong : Buffer.concat(chunks);
}

/** Reads on, if nobody has, so that the client is ready for its answer. */
export async function dropBody(request: IncomingMessage): Promise<void> {
  if (request.complete || request.readableDidRead || awaitsContinue(request)) return;
  await receive(request, () => {});
}

function awaitsContinue({ headers }: IncomingMessage): boolean {
  return headers.expect?.toLowerCase() === '100-continue';
}

/** Time is limited by the server's request timeout, which ends the connection. */
function receive(request: IncomingMessage, take: (chunk: Buffer) => void): Promise<Ending> {
  return new Promise((resolve) => {
    let bytes = 0;
    request.on('data', (chunk: Buffer) => {
      bytes += chunk.length;
      take(chunk);
      if (bytes <= DROPPED_BYTES_MAX) return;
      request.pause();
      resolve('endless');
    });
    request.on('end', () => resolve('whole'));
    request.on('close', () => resolve('cut short'));
  });
}
