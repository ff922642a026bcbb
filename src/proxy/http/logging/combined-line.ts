import { logTime } from './log-time.js';

/** A request as the combined format tells of it; texts are a character per byte, as they came. */
export interface CombinedFields {
  /** Address without a port; empty for one that has none. */
  readonly client: string;
  readonly user: string | undefined;
  /** The request line, or what came in its place. */
  readonly request: string | undefined;
  readonly status: number;
  /** Bytes that the client was sent behind the head. */
  readonly bodyBytes: number;
  readonly referer: string | undefined;
  readonly userAgent: string | undefined;
}

/** What nginx writes as `\xXX`: all but printable ASCII, and of that quote and backslash. */
const special = /[^ !#-[\]-~]/;
const specials = new RegExp(special, 'g');
const ABSENT = '-';
const HEX = 16;

/**
 * The line with its newline, byte for byte what nginx writes for `log_format combined`. All of it is ASCII.
 *
 * @param nowMs wall-clock time, ms since 1970
 */
export function combinedLine(fields: CombinedFields, nowMs: number): string {
  const { client, user, request, status, bodyBytes, referer, userAgent } = fields;
  const who = `${client === '' ? 'unix:' : client} - ${shown(user)} [${logTime(nowMs)}]`;
  const what = `"${shown(request)}" ${String(status).padStart(3, '0')} ${bodyBytes}`;
  return `${who} ${what} "${shown(referer)}" "${shown(userAgent)}"\n`;
}

function shown(text: string | undefined): string {
  if (text === undefined) return ABSENT;
  return special.test(text) ? text.replace(specials, inHexadecimal) : text;
}

function inHexadecimal(character: string): string {
  return `\\x${character.charCodeAt(0).toString(HEX).toUpperCase().padStart(2, '0')}`;
}
