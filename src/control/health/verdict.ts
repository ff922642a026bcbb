/** What one check found. */
export interface Verdict {
  readonly outcome: Outcome;
  /** In plain words: `status 200`, `connection refused`. */
  readonly reason: string;
}

/** `inconclusive`: this machine could not check, for want of descriptors or memory; it says nothing about the endpoint. */
export type Outcome = 'pass' | 'fail' | 'inconclusive';

/** How far a check has come, in order, and what the log calls that. */
export const phases = {
  connecting: 'while connecting',
  securing: 'in the TLS handshake',
  asking: 'while waiting for the answer',
  reading: 'while reading the body',
} as const;
export type Phase = keyof typeof phases;

const connectionReasons: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'connection refused',
  ENOENT: 'there is no such socket',
  EACCES: 'permission denied',
  EAGAIN: 'its queue of connections is full',
  EHOSTUNREACH: 'no route to the host',
  EHOSTDOWN: 'no route to the host',
  ENETUNREACH: 'the network cannot be reached',
  EADDRNOTAVAIL: 'no local address or port to connect from',
};

const certificateReasons: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'certificate has expired',
  CERT_NOT_YET_VALID: 'certificate is not valid yet',
  CERT_REVOKED: 'certificate was revoked',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'certificate is self-signed',
  SELF_SIGNED_CERT_IN_CHAIN: 'certificate leads to a root that is not trusted',
  UNABLE_TO_GET_ISSUER_CERT: 'certificate has an issuer that is not known',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'certificate has an issuer that is not known',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'certificate has an issuer that is not known',
};

/** Errors that are this machine's, and would be the same whatever the endpoint does. */
const localCodes = ['EMFILE', 'ENFILE', 'ENOMEM', 'ENOBUFS'];

/** What Node's errors have beside a message; OpenSSL and the HTTP parser give a reason. */
interface CheckError extends NodeJS.ErrnoException {
  readonly reason?: string;
  readonly host?: string;
}

export function pass(reason: string): Verdict {
  return { outcome: 'pass', reason };
}

export function fail(reason: string): Verdict {
  return { outcome: 'fail', reason };
}

/** The check took too long. */
export function timedOut(timeoutMs: number, phase: Phase): Verdict {
  const duration = timeoutMs % 1000 === 0 ? `${timeoutMs / 1000} s` : `${timeoutMs} ms`;
  return fail(`timeout after ${duration} ${phases[phase]}`);
}

/** The check ended in an error of Node's. */
export function failed(error: CheckError, phase: Phase): Verdict {
  const code = error.code ?? '';
  if (localCodes.includes(code)) {
    return { outcome: 'inconclusive', reason: `this machine cannot check: ${code}` };
  }
  return fail(certificateReasons[code] ?? protocolReason(error, code) ?? wireReason(error, phase));
}

function protocolReason(error: CheckError, code: string): string | undefined {
  const { reason = error.message, host } = error;
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') return `certificate is not for ${host}`;
  if (code === 'HPE_HEADER_OVERFLOW') return 'the head of the answer is too large';
  if (code === 'HPE_INVALID_EOF_STATE') return 'connection closed within the answer';
  if (code.startsWith('HPE_')) return `the answer is not HTTP: ${reason}`;
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') return `TLS handshake failed: ${reason}`;
  return undefined;
}

function wireReason({ code = '', syscall, message }: CheckError, phase: Phase): string {
  // Node calls it ECONNRESET as well when the other side merely closed; then there was no system call.
  if (code === 'ECONNRESET' && syscall === undefined) return `connection closed ${phases[phase]}`;
  if (code === 'ECONNRESET' || code === 'EPIPE') return `connection reset ${phases[phase]}`;
  if (code === 'ETIMEDOUT') return `timeout of the kernel ${phases[phase]}`;
  return connectionReasons[code] ?? `${message} ${phases[phase]}`;
}
