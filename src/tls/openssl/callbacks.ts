import { CallbackAnswer, TicketReturn } from './constants.js';
import { type OpenSsl, registerCallback } from './openssl.js';

/** The handshake or connection that OpenSSL is at work for, and may ask something about. */
export interface Caller {
  /** server_name has been read: the context for it may be set. @returns one of CallbackAnswer */
  onServerName(ssl: number): number;
  /** The client's protocols have been read. @returns one of CallbackAnswer */
  onAlpn(out: number, outLength: number, offered: number, offeredBytes: number): number;
  /** The client wants to see an OCSP response. @returns one of CallbackAnswer */
  onStatusRequest(ssl: number): number;
  /** A ticket is written or read: SSL_CTX_set_tlsext_ticket_key_evp_cb(3). */
  onTicket(
    ssl: number,
    name: number,
    iv: number,
    cipher: number,
    mac: number,
    isWriting: boolean,
  ): number;
  /** A ticket was read, or tried: SSL_CTX_set_session_ticket_cb(3). @returns one of TicketReturn */
  onTicketSession(ssl: number, session: number, status: number): number;
  /** A secret, as a line of the key log. */
  onSecret(line: number): void;
  /** A session that can be resumed. @returns true when its reference is kept */
  onNewSession(session: number): boolean;
}

/** Addresses of the functions that OpenSSL is given. */
export interface CallbackAddresses {
  readonly servername: number;
  readonly alpnSelect: number;
  readonly status: number;
  readonly ticketKey: number;
  readonly ticketSession: number;
  readonly keylog: number;
  readonly newSession: number;
}

let caller: Caller | undefined;
let thrown: { readonly error: unknown } | undefined;
let addresses: CallbackAddresses | undefined;

/** An exception must not pass through OpenSSL's frames: it waits on this side of them. */
function guarded(answerToException: number, ask: (caller: Caller) => number): number {
  if (caller === undefined) return answerToException;
  try {
    return ask(caller);
  } catch (error) {
    thrown ??= { error };
    return answerToException;
  }
}

/**
 * The functions, registered once for this thread: whom a call is about is known without asking
 * OpenSSL, because it only calls back while one of our calls runs.
 */
export function callbackAddresses(): CallbackAddresses {
  const { SSL_TLSEXT_ERR_ALERT_FATAL, SSL_TLSEXT_ERR_NOACK } = CallbackAnswer;
  const { SSL_TICKET_RETURN_IGNORE_RENEW } = TicketReturn;
  addresses ??= {
    servername: registerCallback('servername', (ssl) =>
      guarded(SSL_TLSEXT_ERR_ALERT_FATAL, (caller) => caller.onServerName(ssl)),
    ),
    alpnSelect: registerCallback('alpnSelect', (_, out, outLength, offered, offeredBytes) =>
      guarded(SSL_TLSEXT_ERR_ALERT_FATAL, (caller) =>
        caller.onAlpn(out, outLength, offered, offeredBytes),
      ),
    ),
    status: registerCallback('status', (ssl) =>
      guarded(SSL_TLSEXT_ERR_NOACK, (caller) => caller.onStatusRequest(ssl)),
    ),
    ticketKey: registerCallback('ticketKey', (ssl, name, iv, cipher, mac, isWriting) =>
      guarded(-1, (caller) => caller.onTicket(ssl, name, iv, cipher, mac, isWriting === 1)),
    ),
    ticketSession: registerCallback('ticketSession', (ssl, session, _name, _nameBytes, status) =>
      guarded(SSL_TICKET_RETURN_IGNORE_RENEW, (caller) =>
        caller.onTicketSession(ssl, session, status),
      ),
    ),
    keylog: registerCallback('keylog', (_, line) => {
      guarded(0, (caller) => {
        caller.onSecret(line);
        return 0;
      });
    }),
    newSession: registerCallback('newSession', (_, session) =>
      guarded(0, (caller) => (caller.onNewSession(session) ? 1 : 0)),
    ),
  };
  return addresses;
}

/**
 * `SSL_do_handshake`, with callbacks to `asked`.
 *
 * @returns what OpenSSL answers
 * @throws what a callback threw
 */
export function shakeHands(openssl: OpenSsl, ssl: number, asked: Caller): number {
  caller = asked;
  const result = openssl.SSL_do_handshake(ssl);
  caller = undefined;
  rethrow();
  return result;
}

/** `SSL_read` for a connection whose sessions are kept: a server may send tickets at any time. */
export function readAsking(
  openssl: OpenSsl,
  ssl: number,
  address: number,
  length: number,
  asked: Caller,
): number {
  caller = asked;
  const result = openssl.SSL_read(ssl, address, length);
  caller = undefined;
  rethrow();
  return result;
}

function rethrow(): void {
  if (thrown === undefined) return;
  const { error } = thrown;
  thrown = undefined;
  throw error;
}
