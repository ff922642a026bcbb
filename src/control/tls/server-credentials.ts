import { X509Certificate } from 'node:crypto';
import {
  type CertificateConfig,
  type ListenerTlsConfig,
  type OcspFacts,
  type Parsed,
  parseOcspResponse,
} from '../../config/index.js';
import type { CertificateSettings, ServerTlsSettings } from '../../tls/index.js';
import { withFingerprint } from './fingerprint.js';
import { type OcspValidity, ocspProblem } from './ocsp-validity.js';
import { protocolSettings } from './protocol-settings.js';
import { makeSelfSigned, type SelfSigned } from './self-signed.js';
import { FileTicketKeys, RandomTicketKeys, type TicketKeys } from './ticket-keys.js';
import { WatchedFile } from './watched-file.js';

/** A certificate made here is made anew when it has less than this left. */
const RENEW_MS = 14 * 86_400_000;

/** Something that could not be read again: it stays as it was. */
export interface RefreshProblem {
  readonly file: string;
  readonly reason: string;
}

/** When a certificate of a listener ends. */
export interface CertificateExpiry {
  /** A server name it is for, or its owner. */
  readonly name: string;
  /** Where it came from; nothing for one that was made here. */
  readonly file: string | undefined;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  /** What is stapled with it, where that is configured. */
  readonly ocsp?: OcspValidity | undefined;
}

interface Stapled {
  readonly certificate: CertificateConfig;
  readonly response: WatchedFile<OcspFacts> | undefined;
}

/**
 * What one listener terminates TLS with, as far as it changes while the configuration does not: ticket
 * keys, OCSP responses, a certificate made here.
 */
export class ServerCredentials {
  /** What workers should know now. */
  settings: ServerTlsSettings;
  private readonly stapled: readonly Stapled[];
  private readonly tickets: TicketKeys | undefined;
  private selfSigned: SelfSigned | undefined;

  /**
   * @param earlier the same listener's before a reload: its random keys and its own certificate go on
   * @throws Error with one line when a file is not good any more
   */
  constructor(
    readonly config: ListenerTlsConfig,
    nowMs: number,
    earlier?: ServerCredentials,
  ) {
    this.stapled = config.certificates.map((certificate) => ({
      certificate,
      response: watchedResponse(certificate),
    }));
    this.tickets = ticketKeys(config, nowMs, earlier?.tickets);
    const isSame = String(earlier?.config.selfSigned) === String(config.selfSigned);
    if (isSame) this.selfSigned = earlier?.selfSigned;
    this.renew(nowMs);
    this.settings = this.makeSettings(nowMs);
  }

  get expiries(): CertificateExpiry[] {
    const { selfSigned } = this;
    if (selfSigned !== undefined) {
      const { notBeforeMs, notAfterMs } = selfSigned;
      return [{ name: this.config.selfSigned[0]!, file: undefined, notBeforeMs, notAfterMs }];
    }
    return this.stapled.map(({ certificate, response }) => {
      const { names, subject, file, notBeforeMs, notAfterMs } = certificate;
      const ocsp = response && { file: response.path, ...response.current };
      return { name: names[0] ?? subject, file, notBeforeMs, notAfterMs, ocsp };
    });
  }

  /** Looks whether files have changed and whether it is time for new keys; {@link settings} are then others. */
  refresh(nowMs: number): RefreshProblem[] {
    const problems: RefreshProblem[] = [];
    const note = (file: string, result: Parsed<boolean> | undefined): void => {
      if (result?.ok === false) problems.push({ file, reason: result.reason });
    };
    for (const { response } of this.stapled) {
      if (response !== undefined) note(response.path, response.refresh());
    }
    note(this.config.tickets?.keyFile ?? '', this.tickets?.refresh(nowMs));
    this.renew(nowMs);
    const settings = this.makeSettings(nowMs);
    if (settings.fingerprint !== this.settings.fingerprint) this.settings = settings;
    return problems;
  }

  private renew(nowMs: number): void {
    const names = this.config.selfSigned;
    if (names.length === 0) return;
    if (this.selfSigned !== undefined && this.selfSigned.notAfterMs - nowMs > RENEW_MS) return;
    this.selfSigned = makeSelfSigned(names, nowMs);
  }

  private makeSettings(nowMs: number): ServerTlsSettings {
    const { config, tickets, selfSigned } = this;
    const { alpn, clientAuth } = config;
    const own = selfSigned && {
      names: selfSigned.names,
      chain: selfSigned.chain,
      key: selfSigned.key,
    };
    return withFingerprint({
      ...protocolSettings(config),
      certificates: own ? [own] : this.stapled.map((one) => certificateSettings(one, nowMs)),
      alpn,
      ticketKeys: tickets?.keys ?? [],
      clientAuth:
        clientAuth === null ? undefined : { ...clientAuth, crl: clientAuth.crl ?? undefined },
    });
  }
}

function certificateSettings(
  { certificate, response }: Stapled,
  nowMs: number,
): CertificateSettings {
  const { names, chain, privateKey } = certificate;
  // A client that gets an old one may refuse the connection; without one it asks, or does not care.
  const isFresh = response !== undefined && ocspProblem(response.current, nowMs) === undefined;
  // A plain array of its own: a Buffer of Node's pool would take its neighbours along.
  const ocsp = isFresh ? Uint8Array.from(response.bytes) : undefined;
  return { names, chain, key: privateKey, ocsp };
}

function watchedResponse({ ocspFile, chain }: CertificateConfig) {
  if (ocspFile === null) return undefined;
  const leaf = new X509Certificate(chain);
  return new WatchedFile(ocspFile, (content) => parseOcspResponse(content, leaf));
}

function ticketKeys(
  { tickets }: ListenerTlsConfig,
  nowMs: number,
  earlier: TicketKeys | undefined,
): TicketKeys | undefined {
  if (tickets === null) return undefined;
  const { keyFile, rotateMs } = tickets;
  if (keyFile !== null) return new FileTicketKeys(keyFile);
  const goesOn = earlier instanceof RandomTicketKeys && earlier.rotateMs === rotateMs;
  return goesOn ? earlier : new RandomTicketKeys(rotateMs, nowMs);
}
