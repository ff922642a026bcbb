import type { CloseReason } from '../../counters.js';
import { round } from '../../flow/index.js';
import { describeTls } from '../../tls-status.js';
import type { Exchange } from '../exchange/index.js';
import { combinedLine } from './combined-line.js';
import type { ExchangeNote } from './exchange-note.js';
import { readable } from './readable.js';

/** What nginx logs for a client that went away before there was an answer. */
const CLIENT_CLOSED_REQUEST = 499;

/** Writes an exchange's access line, once it is over. @param close why its connection ended, if it did not end well */
export function exchangeLine(exchange: Exchange, close?: CloseReason): void {
  const { record, connection } = exchange;
  const { note } = record;
  const { accessLog, logsAccess } = connection.worker;
  if (note === undefined || !logsAccess) return;
  const { combined } = accessLog;
  if (combined !== undefined) combined.write(inCombinedFormat(exchange, note, close));
  else accessLog.json?.write(asObject(exchange, note, close), 'request');
}

function inCombinedFormat(exchange: Exchange, note: ExchangeNote, close?: CloseReason): string {
  const { response, connection } = exchange;
  const { client, user, method, target, version, referer, userAgent } = note;
  const { bytesDown } = connection.tunnelBytes;
  const hasGone = response.status === 0 && close === 'client_reset';
  return combinedLine(
    {
      client,
      user,
      request: `${method} ${target} ${version}`,
      status: hasGone ? CLIENT_CLOSED_REQUEST : response.status,
      bodyBytes: response.bodyBytes + bytesDown,
      referer,
      userAgent,
    },
    Date.now(),
  );
}

function asObject(exchange: Exchange, note: ExchangeNote, close?: CloseReason): object {
  const { connection, link, request, response, attempts, record } = exchange;
  const { startedMs, firstByteMs, lateFor } = record;
  const { tunnelled, tunnelBytes, worker } = connection;
  const paths = tunnelled?.paths;
  return {
    listener: connection.listener.snapshot.name,
    client: note.client,
    request_id: note.id,
    user: readable(note.user),
    method: note.method,
    host: note.host,
    target: note.target,
    version: note.version,
    status: response.status,
    upstream_status: record.upstreamStatus || undefined,
    failure: record.failure,
    refusal: record.refusal,
    rejection: record.rejection,
    upstream_rejection: record.upstreamRejection,
    timeout: lateFor,
    tls: describeTls(connection.tls),
    upstream_tls: describeTls(tunnelled?.upstreamTls ?? link.tls),
    route: exchange.route?.name,
    upstream: attempts?.upstream.name,
    endpoint: attempts?.endpoint?.text,
    bytes_up: request.bytes + tunnelBytes.bytesUp,
    bytes_down: response.bytes + tunnelBytes.bytesDown,
    path_up: paths?.up ?? request.path,
    path_down: paths?.down ?? response.path,
    duration_ms: round(worker.clock.nowMs - startedMs),
    ttfb_ms: firstByteMs < 0 ? undefined : round(firstByteMs),
    connect_ms: attempts === undefined || link.connectMs < 0 ? undefined : round(link.connectMs),
    retries: exchange.retries || undefined,
    mirror: exchange.shadow?.status,
    user_agent: readable(note.userAgent),
    referer: readable(note.referer),
    capture: connection.capture?.id,
    close,
  };
}
