import {
  handshakeFailures,
  kernelTlsRefusals,
  type TlsSession,
  TlsVersion,
  ticketOutcomes,
  tlsEndings,
} from '../tls/index.js';

/** Whose connection it is: the client's, where Headgate is the server, or the upstream's. */
export const tlsSides = ['client', 'upstream'] as const;
export type TlsSideName = (typeof tlsSides)[number];

/** Suites that are counted by name, as OpenSSL calls them; the last takes the rest. */
export const tlsCiphers = [
  'TLS_AES_128_GCM_SHA256',
  'TLS_AES_256_GCM_SHA384',
  'TLS_CHACHA20_POLY1305_SHA256',
  'ECDHE-ECDSA-AES128-GCM-SHA256',
  'ECDHE-RSA-AES128-GCM-SHA256',
  'ECDHE-ECDSA-AES256-GCM-SHA384',
  'ECDHE-RSA-AES256-GCM-SHA384',
  'ECDHE-ECDSA-CHACHA20-POLY1305',
  'ECDHE-RSA-CHACHA20-POLY1305',
  'DHE-RSA-AES128-GCM-SHA256',
  'DHE-RSA-AES256-GCM-SHA384',
  'DHE-RSA-CHACHA20-POLY1305',
  'other',
] as const;
const OTHER_CIPHER = tlsCiphers.length - 1;

/** One kind of handshake that was completed. */
export interface HandshakeKind {
  readonly side: TlsSideName;
  readonly version: '1.2' | '1.3';
  readonly cipher: string;
  readonly isResumed: boolean;
  /** Records of that direction are the kernel's affair. */
  readonly kernelTx: boolean;
  readonly kernelRx: boolean;
}

/** Version, resumed, transmit, receive: a bit each. */
const KINDS_A_CIPHER = 16;
const HANDSHAKES = 0;
const FAILURES = HANDSHAKES + tlsCiphers.length * KINDS_A_CIPHER;
const TX_REFUSALS = FAILURES + handshakeFailures.length;
const RX_REFUSALS = TX_REFUSALS + kernelTlsRefusals.length;
const ENDINGS = RX_REFUSALS + kernelTlsRefusals.length;
const TICKETS = ENDINGS + tlsEndings.length;
const SIDE_SLOTS = TICKETS + ticketOutcomes.length;

/** Doubles that {@link TlsCounters} needs. */
export const TLS_COUNTER_SLOTS = tlsSides.length * SIDE_SLOTS;

const cipherIndex = new Map<string, number>(tlsCiphers.map((name, index) => [name, index]));
const failureIndex = new Map(handshakeFailures.map((name, index) => [name, index]));

/** What is counted of TLS, in a worker's region of shared memory. */
export class TlsCounters {
  /** @param values {@link TLS_COUNTER_SLOTS} of them */
  constructor(private readonly values: Float64Array) {}

  /** Counts a handshake that was completed, and where its records go from there. */
  countHandshake(side: TlsSideName, session: TlsSession, txRefusal: number, rxRefusal: number) {
    const cipher = cipherIndex.get(session.cipher) ?? OTHER_CIPHER;
    const kind =
      (session.version === TlsVersion.Tls13 ? 8 : 0) |
      (session.isResumed ? 4 : 0) |
      (txRefusal === 0 ? 2 : 0) |
      (rxRefusal === 0 ? 1 : 0);
    const base = sideBase(side);
    this.values[base + HANDSHAKES + cipher * KINDS_A_CIPHER + kind]!++;
    if (txRefusal !== 0) this.values[base + TX_REFUSALS + txRefusal]!++;
    if (rxRefusal !== 0) this.values[base + RX_REFUSALS + rxRefusal]!++;
  }

  /** @param failure one of `handshakeFailures` */
  countFailure(side: TlsSideName, failure: string): void {
    this.values[sideBase(side) + FAILURES + failureIndex.get(failure)!]!++;
  }

  /** @param ending one of `TlsEnding` */
  countEnding(side: TlsSideName, ending: number): void {
    this.values[sideBase(side) + ENDINGS + ending]!++;
  }

  /** @param outcome one of `TicketOutcome` */
  countTickets(side: TlsSideName, outcome: number): void {
    this.values[sideBase(side) + TICKETS + outcome]!++;
  }

  /** Every kind of handshake there is, with its count. */
  *handshakes(): Generator<readonly [HandshakeKind, number]> {
    for (const side of tlsSides) {
      for (let slot = 0; slot < tlsCiphers.length * KINDS_A_CIPHER; slot++) {
        const kind = {
          side,
          version: (slot & 8) === 0 ? ('1.2' as const) : ('1.3' as const),
          cipher: tlsCiphers[Math.floor(slot / KINDS_A_CIPHER)]!,
          isResumed: (slot & 4) !== 0,
          kernelTx: (slot & 2) !== 0,
          kernelRx: (slot & 1) !== 0,
        };
        yield [kind, this.values[sideBase(side) + HANDSHAKES + slot]!];
      }
    }
  }

  /** @param reason position in `handshakeFailures` */
  failuresFor(side: TlsSideName, reason: number): number {
    return this.values[sideBase(side) + FAILURES + reason]!;
  }

  /** @param reason position in `kernelTlsRefusals` */
  refusalsFor(side: TlsSideName, direction: 'tx' | 'rx', reason: number): number {
    const slots = direction === 'tx' ? TX_REFUSALS : RX_REFUSALS;
    return this.values[sideBase(side) + slots + reason]!;
  }

  /** @param outcome one of `TicketOutcome` */
  ticketsOf(side: TlsSideName, outcome: number): number {
    return this.values[sideBase(side) + TICKETS + outcome]!;
  }

  /** @param ending one of `TlsEnding` */
  endingsOf(side: TlsSideName, ending: number): number {
    return this.values[sideBase(side) + ENDINGS + ending]!;
  }
}

function sideBase(side: TlsSideName): number {
  return side === 'client' ? 0 : SIDE_SLOTS;
}
