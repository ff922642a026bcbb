import type { CloseReason } from '../../counters.js';
import type { WorkerRoom } from '../../room.js';
import { type Refusal, type RefusalName, refusalNames, refusalStatus } from '../guarding/index.js';
import { type HttpPolicy, Routing } from '../http-policy.js';
import { type Lateness, type LatenessName, latenessNames } from '../lateness.js';
import { type ExchangeNote, noteOf } from '../logging/index.js';
import { type HttpRejection, type HttpRejectionName, httpRejectionName } from '../message/index.js';
import type { RouteCounters } from '../route-counters.js';

/** Why a request got no response of an endpoint. */
export type FailureName =
  | CloseReason
  | 'response_malformed'
  /** A forward proxy's names: too many are being looked up, or what became of this one. */
  | 'lookups_full'
  | 'lookup_timeout'
  | 'lookup_failed'
  | RoutingFailure;

/** Why no route was looked for: the path leads above the root, or what is to be sent to HTTPS names no host. */
type RoutingFailure = 'path_above_root' | 'host_missing';

/** What an exchange leaves behind: the numbers of its route, and its access line. */
export class ExchangeRecord {
  startedMs = 0;
  /** Connections made anew to the same endpoint, because one that was idle turned out to be dead. */
  reconnects = 0;
  /** What the access line says of the request; nothing where nobody reads it. */
  note: ExchangeNote | undefined;
  /** What it has taken too long for, if it has. */
  lateFor: LatenessName | undefined;
  /** Of the endpoint's response; 0 while there is none. */
  upstreamStatus = 0;
  /** Why there is no response of an endpoint. */
  failure: FailureName | undefined;
  /** Why the route did not serve it. */
  refusal: RefusalName | undefined;
  /** What was wrong with its body, or with the response. */
  rejection: HttpRejectionName | undefined;
  upstreamRejection: HttpRejectionName | undefined;
  private answeredMs = -1;
  private counters: RouteCounters | undefined;

  /** @param nowMs when the request's head was read */
  begin(nowMs: number): void {
    this.startedMs = nowMs;
    this.answeredMs = -1;
    this.reconnects = 0;
    this.lateFor = undefined;
    this.upstreamStatus = 0;
    this.failure = undefined;
    this.refusal = undefined;
    this.rejection = undefined;
    this.upstreamRejection = undefined;
  }

  /** The policy has taken up the request. */
  routed(policy: HttpPolicy, { logsAccess, notesRequests }: WorkerRoom): void {
    this.note = logsAccess || notesRequests ? noteOf(policy, logsAccess) : undefined;
    this.counters = policy.counters;
    this.counters.countBegun();
  }

  /** No route could be looked for. @param routing what the router has said */
  unroutable(routing: number): void {
    this.failure = routing === Routing.path_invalid ? 'path_above_root' : 'host_missing';
  }

  /** There is a response, or an answer of our own. */
  answered(nowMs: number): void {
    this.answeredMs = nowMs;
  }

  /**
   * Its route refuses it: at the door, or because it then could not serve it.
   * @returns the status to answer with
   */
  refused(refusal: Refusal): number {
    this.counters!.countRefused(refusal);
    this.refusal = refusalNames[refusal - 1];
    return refusalStatus(refusal);
  }

  /** A connection to an endpoint has failed, or ended before its response had begun. */
  failed(reason: FailureName): void {
    this.failure = reason;
  }

  /** What the endpoint sent is no response. */
  misanswered(rejection: HttpRejection | undefined): void {
    this.failure = 'response_malformed';
    this.upstreamRejection = rejection && httpRejectionName(rejection);
  }

  /** The endpoint did not send all of its response. @param rejection what was wrong, if that was why */
  brokeOff(rejection: HttpRejection | undefined): void {
    if (rejection !== undefined) this.upstreamRejection = httpRejectionName(rejection);
  }

  /** It has taken too long. */
  late(lateness: Exclude<Lateness, 0>): void {
    this.lateFor = latenessNames[lateness - 1]!;
    this.counters!.countLate(lateness);
  }

  /** From the request's head to the response's, or to an answer of our own; −1 before. */
  get firstByteMs(): number {
    return this.answeredMs < 0 ? -1 : this.answeredMs - this.startedMs;
  }

  /** @param status of the answer, 0 where there was none */
  end(status: number, nowMs: number): void {
    this.counters!.countEnded(status, nowMs - this.startedMs, this.firstByteMs);
  }
}
