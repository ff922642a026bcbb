import { type Kernel, NativeMemory } from '../../splice/index.js';
import type { KernelTls } from '../contexts/index.js';
import {
  installKey,
  KernelTlsRefusal,
  kernelTlsRefusals,
  keyRefusal,
  TlsOption,
} from '../kernel/index.js';
import {
  type CipherSuite,
  DirectionKeys,
  kernelSuite,
  TlsVersion,
  type TrafficKey,
  tls12Keys,
  tls13Key,
  wipe,
} from '../protocol/index.js';
import { RecordSealer, TicketIntake } from '../sessions/index.js';
import {
  KernelTlsReader,
  KernelTlsTransport,
  KernelTlsWriter,
  OpenSslReader,
  OpenSslWriter,
  type TlsTransport,
} from '../transport/index.js';
import type { Handshake } from './handshake.js';

/** What became of a connection whose handshake is done. */
export interface Takeover {
  /** `undefined` where kernel TLS is required and not to be had: the handshake has failed after all. */
  readonly transport: TlsTransport | undefined;
  /** Why a direction is not the kernel's; None when it is. */
  readonly tx: KernelTlsRefusal;
  readonly rx: KernelTlsRefusal;
}

const RANDOM_BYTES = 32;
const clientRandom = new NativeMemory(RANDOM_BYTES);
const serverRandom = new NativeMemory(RANDOM_BYTES);

/**
 * Takes a connection over from a handshake that is done, each direction into the kernel if that can be.
 *
 * @param mode off: OpenSSL has the records; require: the kernel has both directions, or the handshake fails
 * @param canRenewKeys the kernel can change keys (Linux 6.14): their secrets are kept for that
 */
export function takeOver(handshake: Handshake, mode: KernelTls, canRenewKeys: boolean): Takeover {
  const takeover = new KernelTakeover(handshake, canRenewKeys);
  if (mode === 'off') takeover.refuse(KernelTlsRefusal.Off);
  else takeover.attempt();
  const { tx, rx } = takeover;
  if (mode === 'require' && (tx !== 0 || rx !== 0)) {
    takeover.abandon();
    handshake.refuse(`send: ${kernelTlsRefusals[tx]}, receive: ${kernelTlsRefusals[rx]}`);
    return { transport: undefined, tx, rx };
  }
  return { transport: takeover.transport(), tx, rx };
}

/** The steps, and what they leave behind for the transport. */
class KernelTakeover {
  tx: KernelTlsRefusal = KernelTlsRefusal.None;
  rx: KernelTlsRefusal = KernelTlsRefusal.None;
  private readonly kernel: Kernel;
  private suite: CipherSuite | undefined;
  private sending: DirectionKeys | undefined;
  private receiving: DirectionKeys | undefined;

  constructor(
    private readonly handshake: Handshake,
    private readonly canRenewKeys: boolean,
  ) {
    this.kernel = handshake.kernel;
  }

  /** Both directions stay OpenSSL's. */
  refuse(refusal: KernelTlsRefusal): void {
    this.tx = refusal;
    this.rx = refusal;
  }

  attempt(): void {
    const obstacle = this.obstacle();
    if (obstacle !== KernelTlsRefusal.None) this.refuse(obstacle);
    else if (this.suite!.version === TlsVersion.Tls13) this.installTls13(this.suite!);
    else this.installTls12(this.suite!);
  }

  /** Those halves the kernel has refused are OpenSSL's. */
  transport(): TlsTransport {
    const { handshake, kernel, sending, receiving } = this;
    const { fd, isServer, openssl, ssl } = handshake;
    const suite = this.suite!;
    if (sending === undefined && receiving === undefined) return handshake.takeOver();
    if (sending !== undefined && receiving !== undefined) {
      const tickets = this.ticketIntake(suite, false);
      handshake.release();
      const writer = new KernelTlsWriter(kernel, fd, suite, sending);
      const reader = new KernelTlsReader(kernel, fd, suite, isServer, receiving, writer, tickets);
      return new KernelTlsTransport(kernel, fd, reader, writer);
    }
    if (sending !== undefined) {
      // What OpenSSL still wants to say, an alert or an answer to KeyUpdate, would be taken for data.
      openssl.SSL_set0_wbio(ssl, openssl.BIO_new(openssl.BIO_s_null()));
      const reader = new OpenSslReader(handshake.takeOver());
      const writer = new KernelTlsWriter(kernel, fd, suite, sending);
      return new KernelTlsTransport(kernel, fd, reader, writer);
    }
    const tickets = this.ticketIntake(suite, true);
    const writer = new OpenSslWriter(handshake.takeOver());
    const reader = new KernelTlsReader(kernel, fd, suite, isServer, receiving!, writer, tickets);
    return new KernelTlsTransport(kernel, fd, reader, writer);
  }

  /**
   * A server of TLS 1.3 sends its tickets under its traffic key, to what is OpenSSL's no more.
   *
   * @param isSending OpenSSL still has the other direction, and the connection
   */
  private ticketIntake(suite: CipherSuite, isSending: boolean): TicketIntake | undefined {
    const { handshake } = this;
    const { openssl, sessionSlot } = handshake;
    if (suite.version !== TlsVersion.Tls13 || sessionSlot === undefined) return undefined;
    const key = tls13Key(suite, handshake.secrets!.server);
    const sealer = RecordSealer.open(openssl, suite.cipher, key);
    if (sealer === undefined) return undefined;
    const ssl = isSending ? handshake.ssl : handshake.surrender();
    return new TicketIntake(openssl, ssl, isSending, sealer, handshake, sessionSlot);
  }

  /** The connection will not be: overwrites what was kept. */
  abandon(): void {
    this.sending?.forget();
    this.receiving?.forget();
  }

  /** What can be known before anything is done that cannot be undone. */
  private obstacle(): KernelTlsRefusal {
    const { handshake } = this;
    const { secrets, session } = handshake;
    if (handshake.kernelTls !== KernelTlsRefusal.None) return handshake.kernelTls;
    if (session!.version < TlsVersion.Tls12) return KernelTlsRefusal.Version;
    this.suite = kernelSuite(session!.cipherId);
    if (this.suite === undefined) return KernelTlsRefusal.Cipher;
    const hasSecrets =
      this.suite.version === TlsVersion.Tls13
        ? secrets!.client.length > 0 && secrets!.server.length > 0
        : secrets!.master.length > 0;
    return hasSecrets ? KernelTlsRefusal.None : KernelTlsRefusal.NoSecret;
  }

  /** A server may have sent tickets under its traffic key; nothing else has been sent by either side. */
  private installTls13(suite: CipherSuite): void {
    const { isServer, secrets, ticketRecords } = this.handshake;
    const [mine, theirs] = isServer
      ? [secrets!.server, secrets!.client]
      : [secrets!.client, secrets!.server];
    this.install(suite, tls13Key(suite, mine), ticketRecords, tls13Key(suite, theirs), 0);
    const keysFrom = (secret: Uint8Array): DirectionKeys =>
      new DirectionKeys(suite, this.canRenewKeys ? Buffer.from(secret) : undefined);
    if (this.tx === KernelTlsRefusal.None) this.sending = keysFrom(mine);
    if (this.rx === KernelTlsRefusal.None) this.receiving = keysFrom(theirs);
  }

  /** Both sides' Finished had the number 0 (RFC 5246 §7.4.9). */
  private installTls12(suite: CipherSuite): void {
    const { isServer, secrets, openssl, ssl } = this.handshake;
    openssl.SSL_get_client_random(ssl, clientRandom.address, RANDOM_BYTES);
    openssl.SSL_get_server_random(ssl, serverRandom.address, RANDOM_BYTES);
    const keys = tls12Keys(suite, secrets!.master, clientRandom.bytes, serverRandom.bytes);
    const [mine, theirs] = isServer ? [keys.server, keys.client] : [keys.client, keys.server];
    this.install(suite, mine, 1, theirs, 1);
    if (this.tx === KernelTlsRefusal.None) this.sending = new DirectionKeys(suite);
    if (this.rx === KernelTlsRefusal.None) this.receiving = new DirectionKeys(suite);
  }

  private install(
    suite: CipherSuite,
    mine: TrafficKey,
    sent: number,
    theirs: TrafficKey,
    received: number,
  ): void {
    const { kernel, handshake } = this;
    const { fd } = handshake;
    this.tx = sent < 0 ? KernelTlsRefusal.UnknownSequence : KernelTlsRefusal.None;
    this.rx = this.unread();
    if (this.tx === KernelTlsRefusal.None) {
      this.tx = keyRefusal(installKey(kernel, fd, TlsOption.TLS_TX, suite, mine, sent));
    }
    if (this.rx === KernelTlsRefusal.None) {
      this.rx = keyRefusal(installKey(kernel, fd, TlsOption.TLS_RX, suite, theirs, received));
    }
    wipe(mine);
    wipe(theirs);
  }

  /** What OpenSSL has read from the socket and not given out, the kernel will never see. */
  private unread(): KernelTlsRefusal {
    const { openssl, ssl } = this.handshake;
    if (openssl.SSL_pending(ssl) > 0) return KernelTlsRefusal.PendingData;
    if (openssl.SSL_has_pending(ssl) !== 0) return KernelTlsRefusal.PartialRecord;
    return KernelTlsRefusal.None;
  }
}
