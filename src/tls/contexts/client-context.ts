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

/** The context of an upstream, with the sessions of its endpoints. */
export class ClientContext {
  readonly openssl: OpenSsl;
  readonly forKernel: boolean;
  readonly address: number;
  private readonly sessions: SessionCache;
  private readonly serverName: string | undefined;
  /** The name as a C string, for SNI. */
  private readonly sni: NativeMemory | undefined;
  private readonly verify: boolean;
  private references = 1;

  /** @throws TlsError saying which certificate or setting is not right, and why */
  constructor(settings: ClientTlsSettings, use: ContextUse, openssl: OpenSsl = loadOpenSsl()) {
    this.openssl = openssl;
    this.forKernel = use.kernel;
    this.serverName = settings.serverName;
    this.verify = settings.verify;
    this.sessions = new SessionCache(openssl, SESSIONS_MAX);
    if (this.serverName !== undefined && !isAddress(this.serverName)) {
      this.sni = new NativeMemory(this.serverName.length + 1);
      this.sni.bytes.write(this.serverName, 'latin1');
    }
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

  sessionSlot(endpoint: string): SessionSlot {
    return this.sessions.slot(endpoint);
  }

  /**
   * Tells a connection whom it is to reach.
   *
   * @param host the endpoint's IP address, which its certificate must have where no name is
   *   configured
   * @returns false where there is nothing a certificate could be compared with
   */
  prepare(ssl: number, host: string): boolean {
    const { openssl, serverName, sni } = this;
    if (sni !== undefined) {
      const command = Control.SSL_CTRL_SET_TLSEXT_HOSTNAME;
      openssl.SSL_ctrl(ssl, command, Misc.TLSEXT_NAMETYPE_host_name, sni.address);
    }
    if (!this.verify) return true;
    const param = openssl.SSL_get0_param(ssl);
    const expected = serverName ?? host;
    if (isAddress(expected)) {
      return openssl.X509_VERIFY_PARAM_set1_ip_asc(param, expected) === 1;
    }
    if (expected === '') return false;
    const flags = ContextFlag.X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;
    openssl.X509_VERIFY_PARAM_set_hostflags(param, flags);
    return openssl.X509_VERIFY_PARAM_set1_host(param, expected, 0) === 1;
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
