// Certificates of the TLS tests, made once for a test file, and clients to try them with.
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type ConnectionOptions, connect, type TLSSocket } from 'node:tls';
import type { CertificateSettings } from '#src/tls/index.js';
import { within } from '../deadline.js';
import { CertificateKit } from './certificates.js';

const directory = mkdtempSync(join(tmpdir(), 'headgate-tls-'));
process.once('exit', () => rmSync(directory, { recursive: true, force: true }));

export const kit = new CertificateKit(directory);

const made = new Map<string, CertificateSettings>();
let hasAuthority = false;

/** The authority of all certificates here, PEM. */
export function authority(): string {
  if (!hasAuthority) kit.authority('authority');
  hasAuthority = true;
  return kit.text('authority.pem');
}

/**
 * A certificate by the authority, for the names, with its key.
 * @param key as in CertificateKit
 */
export function certificate(
  names: readonly string[],
  key = 'ec:P-256',
  days = 30,
): CertificateSettings {
  authority();
  const id = [...names, key, days].join(' ');
  let settings = made.get(id);
  if (settings === undefined) {
    const file = `leaf${made.size}`;
    const alternatives = names.map((name) => (/^[\d.]+$|:/.test(name) ? 'IP:' : 'DNS:') + name);
    kit.issue(file, { issuer: 'authority', names: alternatives, key, days, commonName: names[0]! });
    settings = { names, chain: kit.text(`${file}.pem`), key: kit.text(`${file}.key`) };
    made.set(id, settings);
  }
  return settings;
}

const CLIENT_MS = 10_000;

/** Connects Node's own TLS client; what it does not like is thrown. */
export async function dial(port: number, options: ConnectionOptions = {}): Promise<TLSSocket> {
  const socket = connect({
    host: '127.0.0.1',
    port,
    servername: 'a.test',
    ca: authority(),
    ...options,
  });
  const connected = new Promise<void>((resolve, reject) => {
    socket.once('secureConnect', resolve);
    socket.once('error', reject);
    socket.once('close', () => reject(new Error('closed')));
  });
  await within(CLIENT_MS, 'the client connects', connected);
  return socket;
}

/** Everything the server sends until it ends its stream. @throws when the connection breaks */
export async function everything(socket: TLSSocket): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const whole = (async () => {
    for await (const chunk of socket) chunks.push(chunk as Buffer);
    return Buffer.concat(chunks);
  })();
  return within(CLIENT_MS, 'the server ends its stream', whole);
}
