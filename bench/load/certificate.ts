// Certificates for the proxies, signed by themselves: the openssl command makes them anew in the directory of a run.
import { appendFileSync, copyFileSync, existsSync, readFileSync } from 'node:fs';
import { run } from '../process.js';

/** Kinds of keys, and how `openssl req` is asked for one. */
const keyOptions = {
  rsa: ['-newkey', 'rsa:2048'],
  ecdsa: ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'],
} as const;
export type KeyKind = keyof typeof keyOptions;

/** PEM files. */
export interface Certificate {
  certificate: string;
  key: string;
  /** Both in one file, as HAProxy wants them. */
  both: string;
}

const timeoutMs = 10_000;

/** The certificate of a kind, made when a run asks for it first. */
export async function certificateFor(kind: KeyKind, directory: string): Promise<Certificate> {
  const files = ['crt', 'key', 'pem'].map((suffix) => `${directory}/${kind}.${suffix}`);
  const [certificate, key, both] = files as [string, string, string];
  if (existsSync(both)) return { certificate, key, both };
  const args = ['req', '-x509', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
  args.push(...keyOptions[kind], '-keyout', key, '-out', certificate);
  const { status, stderr } = await run({ program: 'openssl', args }, timeoutMs);
  if (status !== 0) throw new Error(`openssl req: ${stderr}`);
  copyFileSync(certificate, both);
  appendFileSync(both, readFileSync(key));
  return { certificate, key, both };
}
