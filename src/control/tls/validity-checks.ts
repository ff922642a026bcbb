import type { Config } from '../../config/index.js';
import type { Check } from '../machine/index.js';
import { ServerCredentials } from './server-credentials.js';
import { upstreamValidities } from './upstream-validity.js';
import { type Validity, validityProblem } from './validity.js';

const kinds: Readonly<Record<Validity['kind'], string>> = {
  certificate: 'certificate',
  ocsp_response: 'OCSP response',
  revocation_list: 'revocation list',
};

/**
 * How long everything holds that a configuration does TLS with: `low` is what has ended, ends soon, or is not what it should be.
 *
 * @throws Error with one line when a file is not what it was when the configuration was read
 */
export function validityChecks({ listeners, upstreams }: Config, nowMs = Date.now()): Check[] {
  const ofListeners = listeners.flatMap(({ name, tls }) =>
    // One that is made when the proxy starts is new then.
    tls === null || tls.selfSigned.length > 0
      ? []
      : new ServerCredentials(name, tls, nowMs).validities,
  );
  return [...ofListeners, ...upstreamValidities(upstreams)].map((validity) =>
    checkOf(validity, nowMs),
  );
}

function checkOf(validity: Validity, nowMs: number): Check {
  const { kind, owner, file, name, notBeforeMs, notAfterMs } = validity;
  const place = 'listener' in owner ? `listener ${owner.listener}` : `upstream ${owner.upstream}`;
  const problem = validityProblem(validity, nowMs);
  const isEarly = notBeforeMs > nowMs;
  const dates = [
    ...(isEarly ? [`valid from ${dateOf(notBeforeMs)}`] : []),
    notAfterMs === null ? 'does not end' : `valid until ${dateOf(notAfterMs)}`,
  ];
  const about = `${name}, ${dates.join(', ')}`;
  return {
    name: `${place}: ${kinds[kind]} ${file}`,
    state: problem === undefined ? 'ok' : 'low',
    detail: problem === undefined ? about : `${problem} (${about})`,
  };
}

function dateOf(timeMs: number): string {
  return new Date(timeMs).toISOString();
}
