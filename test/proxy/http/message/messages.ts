// Streams of messages, read to the end with Headgate's parsers: what a proxy would make of all the bytes.
import {
  ChunkScanner,
  Framing,
  HeaderName,
  type MessageHead,
  type Method,
  RequestHead,
  ResponseHead,
} from '#src/proxy/http/index.js';

/** One message as two parsers can be compared by it. */
export interface Message {
  /** Method and target, or the status. */
  readonly start: string;
  /** Names and values in turn, as they were sent. */
  readonly fields: readonly string[];
  readonly body: Buffer;
  /** The body was there to its end. */
  readonly isComplete: boolean;
}

export interface Reading {
  readonly messages: Message[];
  /**
   * Why reading ended: all bytes read, the bytes ended in the middle, a rejection (negative), or a message behind
   * which nothing is read.
   */
  ending: 'whole' | 'partial' | 'last' | number;
}

const limits = { headBytes: 8192, headers: 100 };
const request = new RequestHead(limits);
const response = new ResponseHead(limits);
const scanner = new ChunkScanner();

/** Reads one request after the other; nothing behind one that ends the connection. */
export function readRequests(bytes: Buffer): Reading {
  const reading: Reading = { messages: [], ending: 'whole' };
  let at = 0;
  while (at < bytes.length) {
    const answer = request.parse(bytes, at, bytes.length);
    if (answer <= 0) {
      reading.ending = answer === 0 ? 'partial' : answer;
      return reading;
    }
    at += answer;
    const { keepAlive } = request;
    // Node's server reads nothing behind a request for an upgrade, also when it does not agree to it.
    const asksForUpgrade = request.has(HeaderName.upgrade);
    const start = `${request.methodName} ${request.targetText}`;
    const bodyBytes = readBody(request, start, bytes, at, reading);
    if (bodyBytes < 0) return reading;
    at += bodyBytes;
    if (keepAlive && !asksForUpgrade) continue;
    reading.ending = 'last';
    return reading;
  }
  return reading;
}

/** Reads interim responses and the final one. */
export function readResponses(bytes: Buffer, method: Method): Reading {
  const reading: Reading = { messages: [], ending: 'whole' };
  let at = 0;
  while (at < bytes.length) {
    const answer = response.parse(bytes, at, bytes.length, method);
    if (answer <= 0) {
      reading.ending = answer === 0 ? 'partial' : answer;
      return reading;
    }
    at += answer;
    const { isInterim, status } = response;
    const bodyBytes = readBody(response, `${status}`, bytes, at, reading);
    if (bodyBytes < 0) return reading;
    at += bodyBytes;
    if (isInterim) continue;
    reading.ending = 'last';
    return reading;
  }
  return reading;
}

/** Adds a message. @returns bytes of its body, or −1 when that is not whole, or refused */
function readBody(
  head: MessageHead,
  start: string,
  bytes: Buffer,
  at: number,
  reading: Reading,
): number {
  const fields = Array.from({ length: head.count }, (_, index) => [
    head.name(index),
    head.value(index),
  ]).flat();
  const message = (body: Buffer, isComplete: boolean) => {
    reading.messages.push({ start, fields, body, isComplete });
    if (!isComplete) reading.ending = 'partial';
  };
  switch (head.framing) {
    case Framing.none:
    case Framing.tunnel:
      message(Buffer.alloc(0), true);
      return 0;
    case Framing.length: {
      const isComplete = bytes.length - at >= head.contentLength;
      message(bytes.subarray(at, isComplete ? at + head.contentLength : bytes.length), isComplete);
      return isComplete ? head.contentLength : -1;
    }
    case Framing.until_close:
      message(bytes.subarray(at), true);
      return bytes.length - at;
    default: {
      const pieces: Buffer[] = [];
      const from = at;
      for (scanner.begin(); at < bytes.length && !scanner.isDone; ) {
        const consumed = scanner.step(bytes, at, bytes.length);
        if (consumed < 0) {
          message(Buffer.concat(pieces), false);
          reading.ending = consumed;
          return -1;
        }
        if (scanner.wasData) pieces.push(bytes.subarray(at, at + consumed));
        at += consumed;
      }
      message(Buffer.concat(pieces), scanner.isDone);
      return scanner.isDone ? at - from : -1;
    }
  }
}
