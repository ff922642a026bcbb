import Negotiator from 'negotiator';
import { httpDate } from './http-date.js';
import { reasonPhrase } from './reason-phrase.js';

/** What the operator wants to be said instead of our own words. */
export interface ErrorText {
  /** A whole page, in UTF-8. */
  readonly html?: string;
  /** A whole JSON document. */
  readonly json?: string;
}

/** One answer to be written. */
export interface ErrorAnswer {
  /** 400 to 599. */
  readonly status: number;
  /** Value of the request's Accept; undefined without one, or when the request was not understood. */
  readonly accept?: string | undefined;
  /** The request was HEAD: everything but the body. */
  readonly isHead?: boolean;
  /** The connection stays open behind this answer. */
  readonly keepAlive?: boolean;
  /** Further field lines, each with its CRLF, such as `Retry-After: 1\r\n`; US-ASCII. */
  readonly fields?: string;
}

const HTML = 'text/html';
const JSON_TYPE = 'application/json';
/** In the order of our preference; the first is for those who do not mind. */
const types = [HTML, JSON_TYPE];

/** A longer Accept is not looked at: no browser sends half as much. */
const ACCEPT_CHARACTERS_MAX = 1024;

/**
 * The answers Headgate gives itself when there is none of an upstream: small, as HTML or, for those who
 * prefer it, as JSON. Bodies are made once and kept; what is left is the head.
 */
export class ErrorResponses {
  private readonly bodies = new Map<string, Buffer>();

  /** @param texts by status */
  constructor(private readonly texts: ReadonlyMap<number, ErrorText> = new Map()) {}

  /**
   * Renders a whole response, to be sent in one piece.
   *
   * @param nowMs wall-clock time for Date, ms since 1970
   */
  render(answer: ErrorAnswer, nowMs: number): Buffer {
    const { status, accept, isHead = false, keepAlive = false, fields = '' } = answer;
    const type = preferredType(accept);
    const body = this.bodyFor(status, type);
    const head =
      `HTTP/1.1 ${status} ${reasonPhrase(status)}\r\n` +
      `Date: ${httpDate(nowMs)}\r\n` +
      `Content-Type: ${type === HTML ? 'text/html; charset=utf-8' : JSON_TYPE}\r\n` +
      `Content-Length: ${body.length}\r\n` +
      'Cache-Control: no-store\r\n' +
      `${fields}${keepAlive ? '' : 'Connection: close\r\n'}\r\n`;
    const headBytes = Buffer.from(head, 'latin1');
    return isHead ? headBytes : Buffer.concat([headBytes, body]);
  }

  private bodyFor(status: number, type: string): Buffer {
    const key = `${status} ${type}`;
    let body = this.bodies.get(key);
    if (body === undefined) {
      const text = this.texts.get(status);
      body = Buffer.from(
        type === HTML ? (text?.html ?? htmlFor(status)) : (text?.json ?? jsonFor(status)),
      );
      this.bodies.set(key, body);
    }
    return body;
  }
}

/** Who accepts neither gets HTML: RFC 9110 §12.4.1 allows to disregard Accept. */
function preferredType(accept: string | undefined): string {
  if (accept === undefined || accept.length > ACCEPT_CHARACTERS_MAX) return HTML;
  return new Negotiator({ headers: { accept } }).mediaType(types) ?? HTML;
}

function htmlFor(status: number): string {
  const title = `${status} ${reasonPhrase(status)}`.trimEnd();
  return (
    `<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8"><title>${title}</title></head>\n` +
    `<body><h1>${title}</h1></body>\n</html>\n`
  );
}

function jsonFor(status: number): string {
  return `${JSON.stringify({ status, error: reasonPhrase(status) })}\n`;
}
