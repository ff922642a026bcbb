import { X509Certificate } from 'node:crypto';
import {
  type CertificateConfig,
  type ListenerTlsConfig,
  type OcspFacts,
  type Parsed,
  parseOcspResponse,
  parseRevocationLists,
} from '../../config/index.js';
import {
  type CertificateSettings,
  type ClientAuthSettings,
  loadOpenSsl,
  type RevocationListFacts,
  readRevocationDates,
  type ServerTlsSettings,
} from '../../tls/index.js';
import { withFingerprint } from './fingerprint.js';
import { protocolSettings } from './protocol-settings.js';
import { makeSelfSigned, type SelfSigned } from './self-signed.js';
import { FileTicketKeys, RandomTicketKeys, type TicketKeys } from './ticket-keys.js';
import {
  certificateValidities,
  isSendable,
  ocspValidity,
  revocationValidity,
  type Validity,
  type ValidityOwner,
} from './validity.js';
import { WatchedFile } from './watched-file.js';

/** A certificate made here is made anew when it has less than this left. */
const RENEW_MS = 14 * 86_400_000;

/** A file that was looked at again. */
export interface Refreshed {
  readonly file: string;
  /** Whether it is another one now, or why it stays as it was read before. */
  readonly outcome: Parsed<boolean>;
}

interface Stapled {
  readonly certificate: CertificateConfig;
  readonly response: WatchedFile<OcspFacts> | undefined;
}

/** PEM, and what is known of it. */
interface RevocationLists {
  readonly pem: string;
  readonly facts: readonly RevocationListFacts[];
}

/**
 * What one listener terminates TLS with, as far as it changes while the configuration does not: ticket
 * keys, OCSP responses, revocation lists, a certificate made here.
 */
export class ServerCredentials {
  /** What workers should know now. */
  settings: ServerTlsSettings;
  private readonly stapled: readonly Stapled[];
  private readonly revocationLists: WatchedFile<RevocationLists> | undefined;
  private readonly tickets: TicketKeys | undefined;
  private selfSigned: SelfSigned | undefined;

  /**
   * @param earlier the same listener's before a reload: its random keys and its own certificate go on
   * @throws Error with one line when a file is not good any more
   */
  constructor(
    private readonly listener: string,
    readonly config: ListenerTlsConfig,
    nowMs: number,
    earlier?: ServerCredentials,
  ) {
    this.stapled = config.certificates.map((certificate) => ({
      certificate,
      response: watchedResponse(certificate),
    }));
    this.revocationLists = watchedLists(config);
    this.tickets = ticketKeys(config, nowMs, earlier?.tickets);
    const isSame = String(earlier?.config.selfSigned) === String(config.selfSigned);
    if (isSame) this.selfSigned = earlier?.selfSigned;
    this.renew(nowMs);
    this.settings = this.makeSettings(nowMs);
  }

  /** How long everything holds that this listener has. */
  get validities(): Validity[] {
    const owner = { listener: this.listener };
    const lists = this.revocationLists;
    const ofLists = (lists?.current.facts ?? []).map((facts) =>
      revocationValidity(owner, lists!.path, facts),
    );
    return [...this.ownValidity(owner), ...this.stapledValidities(owner), ...ofLists];
  }

  /** Looks whether files have changed and whether it is time for new keys; {@link settings} are then others. */
  refresh(nowMs: number): Refreshed[] {
    const { stapled, revocationLists, tickets } = this;
    const files = [...stapled.map(({ response }) => response), revocationLists];
    const refreshed: Refreshed[] = files.flatMap((file) =>
      file === undefined ? [] : [{ file: file.path, outcome: file.refresh() }],
    );
    const outcome = tickets?.refresh(nowMs);
    const keyFile = this.config.tickets?.keyFile ?? null;
    if (outcome !== undefined && keyFile !== null) refreshed.push({ file: keyFile, outcome });
    this.renew(nowMs);
    const settings = this.makeSettings(nowMs);
    if (settings.fingerprint !== this.settings.fingerprint) this.settings = settings;
    return refreshed;
  }

  private ownValidity(owner: ValidityOwner): Validity[] {
    const { selfSigned } = this;
    if (selfSigned === undefined) return [];
    const { notBeforeMs, notAfterMs } = selfSigned;
    const name = this.config.selfSigned[0]!;
    return [{ kind: 'certificate', owner, name, file: undefined, notBeforeMs, notAfterMs }];
  }

  private stapledValidities(owner: ValidityOwner): Validity[] {
    return this.stapled.flatMap(({ certificate, response }) => {
      const { names, subject, file } = certificate;
      const name = names[0] ?? subject;
      const ofChain = certificateValidities(owner, name, file, certificate);
      if (response === undefined) return ofChain;
      return [...ofChain, ocspValidity(owner, name, response.path, response.current)];
    });
  }

  private renew(nowMs: number): void {
    const names = this.config.selfSigned;
    if (names.length === 0) return;
    if (this.selfSigned !== undefined && this.selfSigned.notAfterMs - nowMs > RENEW_MS) return;
    this.selfSigned = makeSelfSigned(names, nowMs);
  }

  private makeSettings(nowMs: number): ServerTlsSettings {
    const { config, tickets, selfSigned, revocationLists } = this;
    const { alpn, clientAuth } = config;
    const lists = revocationLists?.current;
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
      clientAuth: clientAuth === null ? undefined : clientAuthSettings(clientAuth, lists, nowMs),
    });
  }
}

function certificateSettings(
  { certificate, response }: Stapled,
  nowMs: number,
): CertificateSettings {
  const { names, chain, privateKey } = certificate;
  const isFresh = response !== undefined && isSendable(response.current, nowMs);
  // A plain array of its own: a Buffer of Node's pool would take its neighbours along.
  const ocsp = isFresh ? Uint8Array.from(response.bytes) : undefined;
  return { names, chain, key: privateKey, ocsp };
}

function watchedResponse({ ocspFile, chain }: CertificateConfig) {
  if (ocspFile === null) return undefined;
  const leaf = new X509Certificate(chain);
  return new WatchedFile<OcspFacts>(ocspFile, (content, before) => {
    const parsed = parseOcspResponse(content, leaf);
    // It may be for a certificate that comes with the next reload: the one there is goes on.
    const isWorse = parsed.ok && !parsed.value.isAboutIt && before?.isAboutIt === true;
    return isWorse ? { ok: false, reason: 'it is about another certificate' } : parsed;
  });
}

function watchedLists({ clientAuth }: ListenerTlsConfig) {
  if (clientAuth === null || clientAuth.crlFile === null) return undefined;
  return new WatchedFile<RevocationLists>(clientAuth.crlFile, (content) => {
    const parsed = parseRevocationLists(content);
    if (!parsed.ok) return parsed;
    const pem = parsed.value;
    return { ok: true, value: { pem, facts: readRevocationDates(loadOpenSsl(), pem) } };
  });
}

function clientAuthSettings(
  { mode, ca, verifyDepth }: NonNullable<ListenerTlsConfig['clientAuth']>,
  lists: RevocationLists | undefined,
  nowMs: number,
): ClientAuthSettings {
  const settings = { mode, ca, verifyDepth, crl: lists?.pem };
  const isPast = lists?.facts.some(({ nextUpdateMs }) => (nextUpdateMs ?? nowMs + 1) <= nowMs);
  return isPast ? { ...settings, isListPast: true } : settings;
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
