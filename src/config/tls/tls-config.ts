import type { ConfigFile } from '../schema/index.js';
import {
  type Files,
  parseDuration,
  parsePeerName,
  parseServerName,
  valid,
} from '../values/index.js';
import { type CertificateConfig, type CertificateKeys, readCertificate } from './certificate.js';
import { readAuthorities } from './client-auth.js';
import { toProtocol } from './protocol.js';

type ListenerTlsFile = NonNullable<ConfigFile['listeners'][string]['tls']>;
type UpstreamTlsFile = NonNullable<ConfigFile['upstreams'][string]['tls']>;
type TicketsFile = ListenerTlsFile['session_tickets'];

export type ListenerTlsConfig = ReturnType<typeof toListenerTls>;
export type UpstreamTlsConfig = ReturnType<typeof toUpstreamTls>;

const ROTATE_MS = 12 * 3_600_000;

/** A listener's `tls`, with what its files say. @param files those that were found valid */
export function toListenerTls(file: ListenerTlsFile, files: Files) {
  return {
    ...toProtocol(file),
    certificates: (file.certificates ?? []).map((one) => toCertificate(one, files)),
    /** Names of the certificate that control makes; empty for none. */
    selfSigned: file.self_signed ?? [],
    tickets: toTickets(file.session_tickets),
    clientAuth:
      file.client_auth === undefined
        ? null
        : {
            mode: file.client_auth.mode,
            /** PEM */
            ca: valid(readAuthorities(file.client_auth.ca, files)),
            verifyDepth: file.client_auth.verify_depth,
            /** Where the revocation lists are; null: nobody asks. */
            crlFile: file.client_auth.crl ?? null,
          },
  };
}

/** An upstream's `tls`, with what its files say. @param files those that were found valid */
export function toUpstreamTls(file: UpstreamTlsFile, files: Files) {
  const { cert, key, passphrase_file } = file;
  return {
    ...toProtocol(file),
    verify: file.verify,
    /** null: the endpoint's own name or address. */
    serverName: file.server_name === undefined ? null : valid(parsePeerName(file.server_name)),
    /** PEM; null: whom the system trusts. */
    ca: file.ca === undefined ? null : valid(readAuthorities(file.ca, files)),
    certificate: cert === undefined ? null : toCertificate({ cert, key, passphrase_file }, files),
  };
}

function toCertificate(
  file: Omit<CertificateKeys, 'names'> & { names?: readonly string[] | undefined },
  files: Files,
): CertificateConfig {
  const { value } = readCertificate({ ...file, names: namesOf(file.names) }, files);
  if (value === undefined) throw new Error(`${file.cert} passed validation and is not valid`);
  return value;
}

/** Names as they are compared. */
export function namesOf(names: readonly string[] | undefined): string[] | undefined {
  return names?.map((text) => valid(parseServerName(text)));
}

/** null: no tickets. Otherwise either a file, or an interval. */
function toTickets(file: TicketsFile): { keyFile: string | null; rotateMs: number } | null {
  if (file === false) return null;
  if (file === true) return { keyFile: null, rotateMs: ROTATE_MS };
  const { key_file: keyFile = null, rotate } = file;
  return { keyFile, rotateMs: rotate === undefined ? ROTATE_MS : valid(parseDuration(rotate)) };
}
