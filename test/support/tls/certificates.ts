// Authorities, certificates and what belongs to them, made with openssl(1) in a directory of their own.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';

export interface IssueOptions {
  /** The name of an authority made before; signed by itself unless said. */
  readonly issuer?: string;
  /** subjectAltName, such as `DNS:a.test`; none unless said. */
  readonly names?: readonly string[];
  /** The common name; that of the files unless said. */
  readonly commonName?: string;
  /** `ec:P-256` unless said; or `rsa:2048`, `ed25519`. */
  readonly key?: string;
  /** How long it is valid, from now; negative for one that has expired. */
  readonly days?: number;
  readonly isAuthority?: boolean;
}

/** Makes `NAME.pem` and `NAME.key` in a directory. */
export class CertificateKit {
  private serial = 1000;

  constructor(readonly directory: string) {}

  path(file: string): string {
    return `${this.directory}/${file}`;
  }

  text(file: string): string {
    return readFileSync(this.path(file), 'latin1');
  }

  write(file: string, content: string | Uint8Array): string {
    writeFileSync(this.path(file), content);
    return this.path(file);
  }

  /** Files one behind the other. */
  join(file: string, ...parts: readonly string[]): string {
    return this.write(file, parts.map((part) => this.text(part)).join(''));
  }

  /** @throws Error when openssl(1) does not do what it is told */
  openssl(...args: readonly string[]): void {
    execFileSync('openssl', args, { cwd: this.directory, stdio: 'pipe' });
  }

  authority(name: string, issuer?: string): void {
    this.issue(name, { isAuthority: true, ...(issuer && { issuer }) });
  }

  issue(name: string, options: IssueOptions = {}): void {
    const { issuer, names = [], key = 'ec:P-256', days = 30, isAuthority = false } = options;
    const extensions = [
      `basicConstraints=critical,CA:${isAuthority ? 'TRUE' : 'FALSE'}`,
      ...(names.length > 0 ? [`subjectAltName=${names.join(',')}`] : []),
    ];
    this.write(`${name}.ext`, `${extensions.join('\n')}\n`);
    const [kind, size] = key.split(':') as [string, string?];
    const detail = { ec: `ec_paramgen_curve:${size}`, rsa: `rsa_keygen_bits:${size}` }[kind];
    this.openssl(
      ...['genpkey', '-algorithm', kind, ...(detail ? ['-pkeyopt', detail] : [])],
      ...['-out', `${name}.key`],
    );
    const subject = `/CN=${options.commonName ?? name}`;
    this.openssl('req', '-new', '-key', `${name}.key`, '-subj', subject, '-out', `${name}.csr`);
    this.serial += 1;
    const signer = issuer
      ? ['-CA', `${issuer}.pem`, '-CAkey', `${issuer}.key`]
      : ['-signkey', `${name}.key`];
    this.openssl(
      ...['x509', '-req', '-in', `${name}.csr`, '-out', `${name}.pem`, ...signer],
      ...['-set_serial', String(this.serial), '-extfile', `${name}.ext`, '-days', String(days)],
    );
  }

  /** An OCSP response of `issuer` about the certificate of `name`. */
  ocsp(file: string, name: string, issuer: string, status: 'good' | 'revoked' = 'good'): void {
    const serial = this.serialOf(name);
    const line = status === 'good' ? 'V\t300101000000Z\t\t' : 'R\t300101000000Z\t200101000000Z\t';
    this.write(`${file}.index`, `${line}${serial}\tunknown\t/CN=${name}\n`);
    this.openssl(
      ...['ocsp', '-index', `${file}.index`, '-CA', `${issuer}.pem`, '-issuer', `${issuer}.pem`],
      ...['-rsigner', `${issuer}.pem`, '-rkey', `${issuer}.key`, '-cert', `${name}.pem`],
      ...['-ndays', '7', '-respout', file],
    );
  }

  /** A revocation list of `issuer`, with nobody on it but those that are said; it holds for `seconds`. */
  revocationList(
    file: string,
    issuer: string,
    seconds: number,
    revoked: readonly string[] = [],
  ): void {
    const lines = revoked.map(
      (name) => `R\t300101000000Z\t200101000000Z\t${this.serialOf(name)}\tunknown\t/CN=${name}\n`,
    );
    this.write(`${file}.index`, lines.join(''));
    this.write(`${file}.number`, '01\n');
    const section = `database=${file}.index\ncrlnumber=${file}.number`;
    this.write(`${file}.cnf`, `[ca]\ndefault_ca=c\n[c]\n${section}\n`);
    this.openssl(
      ...['ca', '-config', `${file}.cnf`, '-gencrl', '-crlsec', String(seconds)],
      ...['-cert', `${issuer}.pem`, '-keyfile', `${issuer}.key`, '-md', 'sha256', '-out', file],
    );
  }

  private serialOf(name: string): string {
    const args = ['x509', '-in', `${name}.pem`, '-noout', '-serial'];
    const line = execFileSync('openssl', args, { cwd: this.directory, encoding: 'latin1' });
    return line.trim().replace('serial=', '');
  }
}
