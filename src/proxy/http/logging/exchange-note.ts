import type { HttpPolicy } from '../http-policy.js';
import { HeaderName } from '../message/index.js';

/** What is told of a request, noted while its head is there. Texts are a character per byte. */
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
  /** Who has shown a password that the route took. */
  user: string | undefined;
}

/**
 * Notes the request that the policy has taken up.
 * @param isForLog an access line will tell of it, too
 */
export function noteOf(policy: HttpPolicy, isForLog: boolean): ExchangeNote {
  const { head, client } = policy;
  const valueIn = (name: HeaderName) => {
    const index = isForLog ? head.find(name) : -1;
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
    user: undefined,
  };
}
