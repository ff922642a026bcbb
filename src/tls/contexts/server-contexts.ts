import { createHash } from 'node:crypto';
import { NativeMemory } from '../../splice/index.js';
import {
  CallbackAnswer,
  ContextFlag,
  Control,
  callbackAddresses,
  loadOpenSsl,
  Misc,
  type OpenSsl,
  readString,
  TlsError,
} from '../openssl/index.js';
import { TlsVersion } from '../protocol/index.js';
import { TicketKeys } from '../sessions/index.js';
import {
  type CertificateGroup,
  groupByNames,
  type ListedCertificate,
} from './certificate-groups.js';
import { addCertificate, type ContextUse, certificateSubject, createContext } from './context.js';
import { readPrivateKey } from './pem.js';
import { protocolList } from './protocol-list.js';
import { answerToTicket } from './resumed-name.js';
import { spellServerName } from './server-name.js';
import type { ServerTlsSettings } from './settings.js';
import { setTrust, shareTrust } from './trust.js';

/** Tickets made for a full handshake; OpenSSL's own number is 2, and each costs a record. */
const TICKETS_PER_HANDSHAKE = 1;

const { SSL_TLSEXT_ERR_OK, SSL_TLSEXT_ERR_ALERT_FATAL, SSL_TLSEXT_ERR_NOACK } = CallbackAnswer;

/** Where the contexts are found that are in force now, whoever has a listener's socket; nothing where it has no TLS any more. */
export interface ContextsInForce {
  contexts: ServerContexts | undefined;
}

/**
 * The contexts of a listener, one for each set of names: chosen while the handshake goes on, as soon
 * as OpenSSL has read the client's server_name. An exact name wins over a wildcard, which stands for
 * one label; all others, and who asks for none, get the certificate for `*`, or else the first one.
 *
 * A reload makes new ones and releases the old: connections live on with references that OpenSSL
 * holds, handshakes under way with one that they hold here.
 */
export class ServerContexts {
  readonly openssl: OpenSsl;
  /** Connections may go on in the kernel. */
  readonly forKernel: boolean;
  /** The context every handshake begins with. */
  readonly initial: number;
  private readonly contexts: number[] = [];
  /** Contexts by exact name, or by `.example.com` for `*.example.com`. */
  private readonly byName = new Map<string, number>();
  private readonly ticketKeys: TicketKeys;
  /** ALPN names as on the wire. */
  private readonly protocols: NativeMemory | undefined;
  /** OCSP responses by the address of the X509. */
  private readonly staples = new Map<number, NativeMemory>();
  private readonly sessionIdContext: NativeMemory;
  private references = 1;

  /** @throws TlsError saying which certificate or setting is not right, and why */
  constructor(settings: ServerTlsSettings, use: ContextUse, openssl: OpenSsl = loadOpenSsl()) {
    this.openssl = openssl;
    this.forKernel = use.kernel;
    this.ticketKeys = new TicketKeys(openssl, settings.ticketKeys);
    this.protocols = settings.alpn.length === 0 ? undefined : protocolList(settings.alpn);
    this.sessionIdContext = sessionIdContext(settings);
    try {
      for (const group of groupByNames(settings.certificates, this.keyKinds())) {
        this.addContext(settings, use, group);
      }
    } catch (error) {
      this.free();
      throw error;
    }
    if (this.contexts.length === 0) throw new TlsError('TLS', 'there is no certificate');
    this.initial = this.byName.get('*') ?? this.contexts[0]!;
  }

  /** They are gone: no handshake can begin with them. */
  get isReleased(): boolean {
    return this.references === 0;
  }

  /** A handshake begins to use the contexts; its {@link release} is to follow. */
  retain(): void {
    this.references++;
  }

  /**
   * Exchanged by a handshake that is about to begin for what a reload has brought since its connection was accepted: what was
   * revoked meanwhile gets in no more. Whether the kernel may have the records stays as it was then.
   */
  renewed(inForce: ContextsInForce | undefined): ServerContexts {
    const latest = inForce?.contexts;
    if (latest === undefined || latest.isReleased || latest.forKernel !== this.forKernel) {
      return this;
    }
    latest.retain();
    this.release();
    return latest;
  }

  /** The listener, or a handshake, does not need the contexts any more. */
  release(): void {
    this.references--;
    if (this.references === 0) this.free();
  }

  /** The context for a name as clients send it. */
  find(serverName: string): number {
    const name = spellServerName(serverName);
    const exact = this.byName.get(name);
    if (exact !== undefined) return exact;
    const dot = name.indexOf('.');
    const wildcard = dot < 0 ? undefined : this.byName.get(name.slice(dot));
    return wildcard ?? this.initial;
  }

  onServerName(ssl: number): number {
    const { openssl } = this;
    const name = openssl.SSL_get_servername(ssl, Misc.TLSEXT_NAMETYPE_host_name);
    if (name === 0) return SSL_TLSEXT_ERR_NOACK;
    if (this.contexts.length > 1) {
      const context = this.find(readString(name));
      if (context !== this.initial) openssl.SSL_set_SSL_CTX(ssl, context);
    }
    return SSL_TLSEXT_ERR_OK;
  }

  onAlpn(out: number, outLength: number, offered: number, offeredBytes: number): number {
    const { address, byteLength } = this.protocols!;
    const result = this.openssl.SSL_select_next_proto(
      out,
      outLength,
      address,
      byteLength,
      offered,
      offeredBytes,
    );
    // RFC 7301 §3.2: no protocol in common is fatal.
    const isAgreed = result === CallbackAnswer.OPENSSL_NPN_NEGOTIATED;
    return isAgreed ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
  }

  onStatusRequest(ssl: number): number {
    const { openssl } = this;
    const staple = this.staples.get(openssl.SSL_get_certificate(ssl));
    if (staple === undefined) return SSL_TLSEXT_ERR_NOACK;
    // OpenSSL frees what it is given with the connection.
    const copy = openssl.CRYPTO_malloc(staple.byteLength, null, 0);
    if (copy === 0) return SSL_TLSEXT_ERR_NOACK;
    openssl.memcpy(copy, staple.address, staple.byteLength);
    const command = Control.SSL_CTRL_SET_TLSEXT_STATUS_REQ_OCSP_RESP;
    openssl.SSL_ctrl(ssl, command, staple.byteLength, copy);
    return SSL_TLSEXT_ERR_OK;
  }

  onTicket(
    ssl: number,
    name: number,
    iv: number,
    cipher: number,
    mac: number,
    isWriting: boolean,
  ): number {
    return this.ticketKeys.onTicket(ssl, name, iv, cipher, mac, isWriting);
  }

  onTicketSession(ssl: number, session: number, status: number): number {
    return answerToTicket(this.openssl, ssl, session, status);
  }

  private addContext(settings: ServerTlsSettings, use: ContextUse, group: CertificateGroup): void {
    const { openssl } = this;
    const context = createContext(openssl, openssl.TLS_server_method(), settings, use);
    this.contexts.push(context);
    for (const { certificate, index } of group.members) {
      const subject = certificateSubject(certificate, index);
      const x509 = addCertificate(openssl, context, certificate, subject);
      if (certificate.ocsp !== undefined)
        this.staples.set(x509, NativeMemory.copyOf(certificate.ocsp));
    }
    this.setSessions(context, settings);
    this.setCallbacks(context);
    this.setClientAuth(context, settings);
    for (const name of group.names) {
      const key = name.startsWith('*.') ? name.slice(1) : name;
      this.byName.set(key, context);
    }
  }

  /** The kind of a certificate's key, each key read once. */
  private keyKinds(): (listed: ListedCertificate) => number {
    const { openssl } = this;
    const kinds = new Map<number, number>();
    return ({ certificate, index }) => {
      let kind = kinds.get(index);
      if (kind === undefined) {
        const subject = `the key of ${certificateSubject(certificate, index)}`;
        const key = readPrivateKey(openssl, certificate.key, subject);
        kind = openssl.EVP_PKEY_get_base_id(key);
        openssl.EVP_PKEY_free(key);
        kinds.set(index, kind);
      }
      return kind;
    };
  }

  private setSessions(context: number, { minVersion }: ServerTlsSettings): void {
    const { openssl, ticketKeys } = this;
    const { SSL_SESS_CACHE_OFF, SSL_OP_NO_TICKET } = ContextFlag;
    // Sessions are in tickets alone: a cache would be one worker's.
    openssl.SSL_CTX_ctrl(context, Control.SSL_CTRL_SET_SESS_CACHE_MODE, SSL_SESS_CACHE_OFF, 0);
    const { address, byteLength } = this.sessionIdContext;
    openssl.SSL_CTX_set_session_id_context(context, address, byteLength);
    if (ticketKeys.isEmpty) {
      openssl.SSL_CTX_set_options(context, SSL_OP_NO_TICKET);
      openssl.SSL_CTX_set_num_tickets(context, 0);
    } else {
      ticketKeys.install(context);
      if (minVersion < TlsVersion.Tls13) {
        openssl.SSL_CTX_set_session_ticket_cb(context, 0, callbackAddresses().ticketSession, 0);
      }
      openssl.SSL_CTX_set_num_tickets(context, TICKETS_PER_HANDSHAKE);
    }
  }

  private setCallbacks(context: number): void {
    const { openssl, protocols, staples } = this;
    const { servername, alpnSelect, status } = callbackAddresses();
    const { SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB } = Control;
    openssl.SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_SERVERNAME_CB, servername);
    if (protocols !== undefined) openssl.SSL_CTX_set_alpn_select_cb(context, alpnSelect, 0);
    if (staples.size > 0) {
      openssl.SSL_CTX_callback_ctrl(context, SSL_CTRL_SET_TLSEXT_STATUS_REQ_CB, status);
    }
    // Parameters for DHE that fit the certificate (SSL_CTX_set_dh_auto(3)).
    openssl.SSL_CTX_ctrl(context, Control.SSL_CTRL_SET_DH_AUTO, 1, 0);
  }

  private setClientAuth(context: number, { clientAuth }: ServerTlsSettings): void {
    if (clientAuth === undefined) return;
    const { openssl } = this;
    const { SSL_VERIFY_PEER, SSL_VERIFY_FAIL_IF_NO_PEER_CERT } = ContextFlag;
    const must = clientAuth.mode === 'require' ? SSL_VERIFY_FAIL_IF_NO_PEER_CERT : 0;
    openssl.SSL_CTX_set_verify(context, SSL_VERIFY_PEER | must, 0);
    openssl.SSL_CTX_set_verify_depth(context, clientAuth.verifyDepth);
    const [first] = this.contexts as [number];
    if (context === first) setTrust(openssl, context, clientAuth, true);
    // Hundreds of names would otherwise mean hundreds of copies, and a worker that does nothing else for seconds.
    else shareTrust(openssl, first, context);
  }

  private free(): void {
    for (const context of this.contexts) this.openssl.SSL_CTX_free(context);
    this.contexts.length = 0;
    this.ticketKeys.release();
  }
}

/**
 * Sessions are resumed only where they could have been begun: not those of a listener that asks for
 * no certificates at one that does, though both may have the same ticket keys. A new revocation list
 * ends all of them: whoever is on it would get in once more, since nobody looks at it for a resumption. So does one that
 * is out of date: who is not let in by it must not get in without it.
 */
function sessionIdContext({ clientAuth }: ServerTlsSettings): NativeMemory {
  const parts = clientAuth === undefined ? [] : [clientAuth.mode, clientAuth.ca, clientAuth.crl];
  if (clientAuth?.isListPast) parts.push('past');
  return NativeMemory.copyOf(createHash('sha256').update(parts.join('\n')).digest());
}
