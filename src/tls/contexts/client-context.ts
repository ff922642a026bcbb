import { NativeMemory } from '../../splice/index.js';
import {
  ContextFlag,
  Control,
  callbackAddresses,
  loadOpenSsl,
  Misc,
  type OpenSsl,
  orThrowTls,
} from '../openssl/index.js';
import { SessionCache, type SessionSlot } from '../sessions/index.js';
import { addCertificate, type ContextUse, createContext } from './context.js';
import { protocolList } from './protocol-list.js';
import type { ClientTlsSettings } from './settings.js';
import { setTrust } from './trust.js';

const SESSIONS_MAX = 1024;
/** Intermediates between the server's certificate and a trusted one; OpenSSL's own limit is 100. */
const VERIFY_DEPTH = 10;
/** OpenSSL's limit for a server_name (TLSEXT_MAXLEN_host_name), and that of DNS. */
const NAME_BYTES_MAX = 255;

/** A server_name as a C string, for the moment in which OpenSSL copies it. */
const nameMemory = new NativeMemory(NAME_BYTES_MAX + 1);

/** The context of an upstream, with the sessions of its endpoints. */
export class ClientContext {
  readonly openssl: OpenSsl;
  readonly forKernel: boolean;
  readonly address: number;
  private readonly sessions: SessionCache;
  private readonly serverName: string | undefined;
  private readonly verify: boolean;
  private references = 1;

  /** @throws TlsError saying which certificate or setting is not right, and why */
  constructor(settings: ClientTlsSettings, use: ContextUse, openssl: OpenSsl = loadOpenSsl()) {
    this.openssl = openssl;
    this.forKernel = use.kernel;
    this.serverName = settings.serverName;
    this.verify = settings.verify;
    this.sessions = new SessionCache(openssl, SESSIONS_MAX);
    this.address = createContext(openssl, openssl.TLS_client_method(), settings, use);
    try {
      this.configure(settings);
    } catch (error) {
      openssl.SSL_CTX_free(this.address);
      throw error;
    }
  }

  /** It is gone: nothing can be connected by it any more. */
  get isReleased(): boolean {
    return this.references === 0;
  }

  retain(): void {
    this.references++;
  }

  release(): void {
    this.references--;
    if (this.references > 0) return;
    this.sessions.release();
    this.openssl.SSL_CTX_free(this.address);
  }

  /**
   * @param host as for {@link prepare}: a session stands for the name it was begun with, and two may lead to one address
   */
  sessionSlot(endpoint: string, host: string): SessionSlot {
    return this.sessions.slot(`${this.serverName ?? host} ${endpoint}`);
  }

  /**
   * Tells a connection whom it is to reach.
   *
   * @param host the name that led to the endpoint, or else its IP address: what is asked for, and what its certificate
   *   must have, where no name is configured
   * @returns false where there is nothing a certificate could be compared with
   */
  prepare(ssl: number, host: string): boolean {
    const { openssl } = this;
    const expected = this.serverName ?? host;
    const isIp = isAddress(expected);
    const isName = !isIp && expected !== '';
    if (isName) this.askFor(ssl, expected);
    if (!this.verify) return true;
    const param = openssl.SSL_get0_param(ssl);
    if (isIp) {
      return openssl.X509_VERIFY_PARAM_set1_ip_asc(param, expected) === 1;
    }
    if (!isName) return false;
    const flags = ContextFlag.X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    openssl.X509_VERIFY_PARAM_set_hostflags(param, flags);
    return openssl.X509_VERIFY_PARAM_set1_host(param, expected, 0) === 1;
  }

  private askFor(ssl: number, name: string): void {
    if (name.length > NAME_BYTES_MAX) return;
    const { bytes, address } = nameMemory;
    bytes[bytes.write(name, 'latin1')] = 0;
    const command = Control.SSL_CTRL_SET_TLSEXT_HOSTNAME;
    this.openssl.SSL_ctrl(ssl, command, Misc.TLSEXT_NAMETYPE_host_name, address);
  }

  private configure(settings: ClientTlsSettings): void {
    const { openssl, address } = this;
    const { SSL_SESS_CACHE_CLIENT, SSL_SESS_CACHE_NO_INTERNAL } = ContextFlag;
    const mode = SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL;
    openssl.SSL_CTX_ctrl(address, Control.SSL_CTRL_SET_SESS_CACHE_MODE, mode, 0);
    openssl.SSL_CTX_sess_set_new_cb(address, callbackAddresses().newSession);
    if (settings.verify) {
      openssl.SSL_CTX_set_verify(address, ContextFlag.SSL_VERIFY_PEER, 0);
      openssl.SSL_CTX_set_verify_depth(address, VERIFY_DEPTH);
      setTrust(openssl, address, settings, false);
    }
    if (settings.certificate !== undefined) {
      addCertificate(openssl, address, settings.certificate, 'the client certificate');
    }
    if (settings.alpn.length > 0) {
      const protocols = protocolList(settings.alpn);
      // Of all functions it is this one that answers 0 for success.
      const { byteLength } = protocols;
      const result = openssl.SSL_CTX_set_alpn_protos(address, protocols.address, byteLength);
      orThrowTls(openssl, result === 0 ? 1 : 0, 'the application protocols');
    }
  }
}

/** An IP address rather than a name: no host name has a colon, or digits and dots alone. */
function isAddress(text: string): boolean {
  return /:|^[\d.]+$/.test(text);
}
