import { loadOpenSsl, Misc, registerCallback } from '../openssl/index.js';

/** Of SSL_set_info_callback(3): SSL_CB_EXIT, a message is dealt with; SSL_CB_ALERT, one is read or written. */
const COUNTED = 0x02 | 0x4000;

/** What a connection may make OpenSSL deal with. One KeyUpdate with its answer counts twice. */
export const MESSAGES_MAX = 64;
/** So much of application data entitles to as many again. */
export const REFILL_BYTES = 1 << 20;
const UNLIMITED = 1 << 30;

let left = UNLIMITED;
let address = 0;

/**
 * The address of what counts the handshake messages and alerts of established connections. OpenSSL deals with them
 * inside SSL_read, one after the other for as long as there are any: 20,000 KeyUpdates, half a megabyte, are half a second
 * in a single call. It calls back for each, and takes the peer for gone when there were too many.
 */
export function messageCounter(): number {
  if (address === 0) {
    const openssl = loadOpenSsl();
    address = registerCallback('info', (ssl, where) => {
      if ((where & COUNTED) === 0) return undefined;
      left--;
      if (left < 0) openssl.SSL_set_shutdown(ssl, Misc.SSL_RECEIVED_SHUTDOWN);
      return undefined;
    });
  }
  return address;
}

/** A read begins. @param messages how many it may meet */
export function allowMessages(messages: number): void {
  left = messages;
}

/** While it goes on: it has met too many. */
export function isOverdrawn(): boolean {
  return left < 0;
}

/** It is over. @returns how many it may still have met; negative after one too many */
export function messagesLeft(): number {
  const result = left;
  left = UNLIMITED;
  return result;
}
