import type { CloseReason } from '../counters.js';
import { describeTls } from '../tls-status.js';
import type { Exchange } from './exchange.js';
import { HeaderName } from './header-name.js';
import type { HttpPolicy } from './http-policy.js';

/** What an access line says of a request, noted while its head is there. */
export interface ExchangeNote {
  readonly client: string;
  readonly method: string;
  readonly host: string;
  /** As it was sent, with its query. */
  readonly target: string;
  readonly id: string;
  readonly version: string;
  readonly userAgent: string | undefined;
  readonly referer: string | undefined;
}

/** Notes the request that the policy has taken up. */
export function noteOf(policy: HttpPolicy): ExchangeNote {
  const { head, client } = policy;
  const valueIn = (name: HeaderName) => {
    const index = head.find(name);
    return index < 0 ? undefined : head.value(index);
  };
  return {
    client: client.ip,
    method: head.methodName,
    host: head.hostName,
    target: head.targetText,
    id: policy.requestIdText,
    version: `HTTP/1.${head.minorVersion}`,
    userAgent: valueIn(HeaderName.user_agent),
    referer: valueIn(HeaderName.referer),
  };
}

/** Writes an exchange's access line, once it is over. @param close why its connection ended, if it did not end well */
export function exchangeLine(exchange: Exchange, close?: CloseReason): void {
  const { connection, link, request, response, attempts, record } = exchange;
  const { note, retries, startedMs, firstByteMs, lateFor } = record;
  if (note === undefined) return;
  const { clock, log } = connection.worker;
  log.info(
    {
      listener: connection.listener.snapshot.name,
      client: note.client,
      request_id: note.id,
      method: note.method,
      host: note.host,
      target: note.target,
      version: note.version,
      status: response.status,
      tls: describeTls(connection.tls),
      upstream_tls: describeTls(link.tls),
      route: exchange.route?.name,
      upstream: attempts?.upstream.name,
      endpoint: attempts?.endpoint?.text,
      bytes_up: request.bytes,
      bytes_down: response.bytes,
      path_up: request.path,
      path_down: response.path,
      duration_ms: round(clock.nowMs - startedMs),
      ttfb_ms: firstByteMs < 0 ? undefined : round(firstByteMs),
      connect_ms: attempts === undefined || link.connectMs < 0 ? undefined : round(link.connectMs),
      retries: retries || undefined,
      timeout: lateFor,
      mirror: exchange.shadow?.status,
      user_agent: note.userAgent,
      referer: note.referer,
      capture: connection.capture?.id,
      close,
    },
    'request',
  );
}

function round(ms: number): number {
  return Math.round(ms * 1000) / 1000;
}
