import { NativeMemory } from '../../splice/index.js';
import { type OpenSsl, TicketReturn, TicketStatus } from '../openssl/index.js';
import { TlsVersion } from '../protocol/index.js';
import { spellServerName } from './server-name.js';

/** The extension (RFC 6066 §3), as far as names are looked at here: a list of one name, of 255 bytes at most. */
const SERVER_NAME = 0;
const NAME_AT = 5;
const NAME_BYTES_MAX = 255;
const NO_NAME = -1;
/** What is there says no name that could be compared. */
const UNREADABLE = -2;

const out = new NativeMemory(16);
const outPointer = new BigUint64Array(out.bytes.buffer, 0, 1);
const outLength = new BigUint64Array(out.bytes.buffer, 8, 1);
const asked = new NativeMemory(NAME_AT + NAME_BYTES_MAX);
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
  const isDue = status === TicketStatus.SSL_TICKET_SUCCESS_RENEW;
  const isDecrypted = isDue || status === TicketStatus.SSL_TICKET_SUCCESS;
  if (!isDecrypted || !isResumable(openssl, ssl, session)) {
    return TicketReturn.SSL_TICKET_RETURN_IGNORE_RENEW;
  }
  return isDue ? TicketReturn.SSL_TICKET_RETURN_USE_RENEW : TicketReturn.SSL_TICKET_RETURN_USE;
}

function isResumable(openssl: OpenSsl, ssl: number, session: number): boolean {
  if (openssl.SSL_version(ssl) === TlsVersion.Tls13) return true;
  const askedBytes = readAsked(openssl, ssl);
  const keptBytes = readKept(openssl, session);
  if (askedBytes < 0 || keptBytes < 0) return askedBytes === keptBytes && askedBytes === NO_NAME;
  const end = NAME_AT + askedBytes;
  if (asked.bytes.compare(kept.bytes, 0, keptBytes, NAME_AT, end) === 0) return true;
  const askedName = asked.bytes.toString('latin1', NAME_AT, end);
  return (
    spellServerName(askedName) === spellServerName(kept.bytes.toString('latin1', 0, keptBytes))
  );
}

/** Reads the name that the ClientHello says, from {@link NAME_AT} on. @returns its length */
function readAsked(openssl: OpenSsl, ssl: number): number {
  const { address } = out;
  if (openssl.SSL_client_hello_get0_ext(ssl, SERVER_NAME, address, address + 8) !== 1) {
    return NO_NAME;
  }
  const length = Number(outLength[0]!);
  if (length < NAME_AT || length > asked.byteLength) return UNREADABLE;
  openssl.memcpy(asked.address, Number(outPointer[0]!), length);
  const nameBytes = asked.bytes.readUInt16BE(NAME_AT - 2);
  // OpenSSL answers with an alert to what is not one name that fills the extension, resumed or not.
  return nameBytes === length - NAME_AT ? nameBytes : UNREADABLE;
}

/** Reads the name that the session was begun with. @returns its length */
function readKept(openssl: OpenSsl, session: number): number {
  const name = openssl.SSL_SESSION_get0_hostname(session);
  if (name === 0) return NO_NAME;
  const length = openssl.OPENSSL_strlcpy(kept.address, name, kept.byteLength);
  return length <= NAME_BYTES_MAX ? length : UNREADABLE;
}
