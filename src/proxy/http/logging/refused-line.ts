import type { CloseReason } from '../../counters.js';
import { round } from '../../flow/index.js';
import { describeTls } from '../../tls-status.js';
import type { HttpConnection } from '../connection/index.js';
import type { Intake } from '../intake.js';
import { CR, type HttpRejection, httpRejectionName, LF } from '../message/index.js';
import { combinedLine } from './combined-line.js';
import { readable } from './readable.js';

/** More of what should have been a request line is not told. */
const LINE_BYTES_MAX = 2048;
/** What nginx logs for a client that went away within a head. */
const BAD_REQUEST = 400;

/** What was no request, and how it was answered. */
export interface Refused {
  /** Why; absent where the head just did not come to its end. */
  readonly rejection?: HttpRejection | undefined;
  /** Of the answer; 0 where there was none. */
  readonly status: number;
  /** Bytes of the answer, and of its body. */
  readonly bytes: number;
  readonly bodyBytes: number;
  /** When its first byte came. */
  readonly sinceMs: number;
  /** Why the connection ends. */
  readonly close?: CloseReason | undefined;
}

/** Writes the access line of what was no request, while it is still in the intake. */
export function refusedLine(connection: HttpConnection, intake: Intake, refused: Refused): void {
  const { accessLog, logsAccess, clock } = connection.worker;
  if (!logsAccess) return;
  const { sourceIp: client } = connection;
  const { status, bytes, bodyBytes, close, rejection, sinceMs } = refused;
  const line = firstLine(intake);
  if (accessLog.combined !== undefined) {
    const nothing = { user: undefined, referer: undefined, userAgent: undefined };
    const hasLeft = close === undefined || close === 'client_reset';
    const shown = status === 0 && hasLeft ? BAD_REQUEST : status;
    const fields = { ...nothing, client, request: line, status: shown, bodyBytes };
    accessLog.combined.write(combinedLine(fields, Date.now()));
    return;
  }
  accessLog.json?.write(
    {
      listener: connection.listener.snapshot.name,
      client,
      line: readable(line),
      status,
      failure: rejection === undefined ? 'head_incomplete' : undefined,
      rejection: rejection && httpRejectionName(rejection),
      tls: describeTls(connection.tls),
      bytes_up: intake.length,
      bytes_down: bytes,
      duration_ms: round(clock.nowMs - sinceMs),
      close,
    },
    'request',
  );
}

/** Writes the access line of a connection that ended before a request could come. */
export function unopenedLine(connection: HttpConnection, close: CloseReason): void {
  const { accessLog, logsAccess, clock } = connection.worker;
  if (!logsAccess || accessLog.combined !== undefined) return;
  const { listener, head, tls, startedMs } = connection;
  accessLog.json?.write(
    {
      listener: listener.snapshot.name,
      client: connection.clientText(),
      rejection: head?.rejectionName,
      tls: describeTls(tls),
      duration_ms: round(clock.nowMs - startedMs),
      close,
    },
    'connection',
  );
}

/** The first line of what came, as far as it did; nothing where there is none. */
function firstLine({ buffer, start, end }: Intake): string | undefined {
  if (buffer === undefined || start === end) return undefined;
  const limit = Math.min(end, start + LINE_BYTES_MAX);
  let at = start;
  while (at < limit && buffer.bytes[at] !== CR && buffer.bytes[at] !== LF) at++;
  return buffer.bytes.toString('latin1', start, at);
}
