import type { DirectionState, DirectionStatus } from '../../flow/index.js';
import type { HttpRequestStatus, HttpStatus } from '../../http-status.js';
import type { ClientResponse, Exchange, UpstreamRequest } from '../exchange/index.js';
import { readable } from '../logging/index.js';
import type { ConnectionSession } from './connection-session.js';
import { ConnectionState } from './connection-state.js';

/** What an HTTP connection does, in the words of the admin interface. */
export function describeHttp(
  { state, reader, exchange }: ConnectionSession,
  nowMs: number,
): HttpStatus {
  const isIdle = state === ConnectionState.reading && !reader.hasPartialHead;
  return {
    requests: reader.requests,
    ...(isIdle && reader.requests > 0 && { idle_ms: Math.round(nowMs - reader.waitingSinceMs) }),
    ...(exchange !== undefined && { request: describeRequest(exchange, nowMs) }),
  };
}

function describeRequest(exchange: Exchange, nowMs: number): HttpRequestStatus {
  const { record, route, request, response, link, retries } = exchange;
  const { note, startedMs, firstByteMs } = record;
  const { status } = response;
  return {
    ...(note !== undefined && {
      request_id: note.id,
      ...(note.user !== undefined && { user: readable(note.user)! }),
      method: note.method,
      host: note.host,
      target: note.target,
      version: note.version,
    }),
    ...(route !== undefined && { route: route.name }),
    age_ms: Math.round(nowMs - startedMs),
    ...(status > 0 && { status }),
    ...(firstByteMs >= 0 && { ttfb_ms: Math.round(firstByteMs * 1000) / 1000 }),
    ...(retries > 0 && { retries }),
    ...(link.connection !== undefined && { upstream_reused: link.connection.isReused }),
    up: direction(request),
    down: direction(response),
  };
}

/** One direction of a connection: its message under way, and what came before. */
export function direction(
  message: UpstreamRequest | ClientResponse | undefined,
  bytesBefore = 0,
): DirectionStatus {
  if (message === undefined) return { bytes: bytesBefore, path: 'none', state: 'none' };
  return { bytes: bytesBefore + message.bytes, path: message.path, state: stateOf(message) };
}

function stateOf({ body, bytes }: UpstreamRequest | ClientResponse): DirectionState {
  if (body.isHolding) return 'blocked';
  return bytes > 0 && body.isOver ? 'ended' : 'waiting';
}
