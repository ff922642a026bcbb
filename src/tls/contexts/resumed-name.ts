import { NativeMemory } from '../../splice/index.js';
import { type OpenSsl, TicketReturn, TicketStatus } from '../openssl/index.js';
import { TlsVersion } from '../protocol/index.js';
import { spellServerName } from './server-name.js';

/** The extension (RFC 6066 §3), as far as names are looked at here: a list of one name, of 255 bytes at most. */
const SERVER_NAME = 0;
const NAME_AT = 5;
const NAME_BYTES_MAX = 255;

/** A pointer and a length, read as halves: there is no BigInt in that. */
const out = new NativeMemory(16);
const halves = new Uint32Array(out.bytes.buffer, 0, 4);
const asked = new NativeMemory(NAME_BYTES_MAX);
const kept = new NativeMemory(NAME_BYTES_MAX + 1);

/**
 * Whether a ticket that was decrypted is used. TLS 1.2 takes the name of a resumed connection from the session, so that
 * a client could ask for one name and be served as if it had asked for another: RFC 6066 §3 wants a full handshake then. In
 * TLS 1.3 a name is never the session's (RFC 8446 §4.6.1), and whose certificate is good for both is the client's to know.
 *
 * OpenSSL asks before it has read the name itself. Nothing is allocated unless the two are not the same bytes.
 *
 * @param session 0 unless the ticket was decrypted
 * @param status one of TicketStatus, or another for a ticket that is empty or that no key decrypts
 * @returns one of TicketReturn; a client whose session is not resumed gets another ticket
 */
export function answerToTicket(
  openssl: OpenSsl,
  ssl: number,
  session: number,
  status: number,
): number {
  // In TLS 1.3 every ticket is followed by another: the version is known without a question.
  if (status === TicketStatus.SSL_TICKET_SUCCESS && hasSameName(openssl, ssl, session)) {
    return TicketReturn.SSL_TICKET_RETURN_USE;
  }
  if (status === TicketStatus.SSL_TICKET_SUCCESS_RENEW) {
    const isTls13 = openssl.SSL_version(ssl) === TlsVersion.Tls13;
    if (isTls13 || hasSameName(openssl, ssl, session)) {
      return TicketReturn.SSL_TICKET_RETURN_USE_RENEW;
    }
  }
  return TicketReturn.SSL_TICKET_RETURN_IGNORE_RENEW;
}

/** Whether the session was begun with the name that the ClientHello says, or both without one. */
function hasSameName(openssl: OpenSsl, ssl: number, session: number): boolean {
  const { address } = out;
  const isAsked = openssl.SSL_client_hello_get0_ext(ssl, SERVER_NAME, address, address + 8) === 1;
  const name = openssl.SSL_SESSION_get0_hostname(session);
  if (name === 0 || !isAsked) return name === 0 && !isAsked;
  // An extension that is not one name and nothing else OpenSSL answers with an alert, resumed or not.
  const askedAt = halves[0]! + halves[1]! * 2 ** 32 + NAME_AT;
  const askedBytes = halves[2]! - NAME_AT;
  const keptBytes = openssl.OPENSSL_strlcpy(kept.address, name, kept.byteLength);
  if (askedBytes < 0 || askedBytes > NAME_BYTES_MAX || keptBytes > NAME_BYTES_MAX) return false;
  const isSame = askedBytes === keptBytes;
  if (isSame && openssl.CRYPTO_memcmp(askedAt, kept.address, keptBytes) === 0) return true;
  openssl.memcpy(asked.address, askedAt, askedBytes);
  const askedName = asked.bytes.toString('latin1', 0, askedBytes);
  return (
    spellServerName(askedName) === spellServerName(kept.bytes.toString('latin1', 0, keptBytes))
  );
}
