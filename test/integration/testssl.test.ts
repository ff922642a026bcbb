// What Debian's testssl.sh finds with our presets, beside what it finds with nginx as Mozilla would configure it.
import { readFileSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { freePort } from '#test/support/peers/address.js';
import { startConfigured } from '#test/support/programs/configured.js';
import { Program, runProgram } from '#test/support/programs/program.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';
import { CertificateKit } from '#test/support/tls/certificates.js';

/** Half a minute on a machine of its own; five scans at once are slow on one that is busy. */
const SCAN_MS = 170_000;

t.setTimeout(SCAN_MS + 10_000);

/** From good to bad. WARN is testssl's word for what it could not find out. */
const severities = ['OK', 'INFO', 'WARN', 'LOW', 'MEDIUM', 'HIGH', 'CRITICAL', 'FATAL'] as const;

interface Finding {
  readonly id: string;
  readonly severity: (typeof severities)[number];
  readonly finding: string;
}

type Report = ReadonlyMap<string, Finding>;

/**
 * Not compared: how long it took, and whether sessions are resumed, which testssl asks a client that has gone before
 * tickets of TLS 1.3 arrive. What holds there is in tls-matrix.test.ts and tls-tickets.test.ts.
 */
const ignored = /^(scanTime|sessionresumption_.*|TLS_session_ticket)$/;

const everything = ['-p', '-s', '-f', '-P', '-S', '-U'];
const ciphersOnly = ['-s', '-L'];

/** Scans what listens at a port. The resolver is not asked, nor anybody else outside of this machine. */
async function scan(
  directory: string,
  port: number,
  checks: readonly string[] = everything,
): Promise<Report> {
  const file = `${directory}/${port}.json`;
  const options = ['--quiet', '--color', '0', '--warnings', 'batch', '--fast'];
  const place = ['--nodns', 'none', '--ip', '127.0.0.1', '--add-ca', `${directory}/authority.pem`];
  // What testssl connects to only to see what openssl(1) makes of its options; "invalid.", unless said, is looked up.
  const nowhere = 'NXCONNECT=127.0.0.1:0';
  const words = ['env', nowhere, 'testssl', ...options, ...place, ...checks, '--jsonfile', file];
  // Its exit code is the number of findings.
  const command = ['sh', '-c', '"$@" || test $? -lt 200', 'sh', ...words, `https://a.test:${port}`];
  await runProgram(command, SCAN_MS);
  const findings = JSON.parse(readFileSync(file, 'utf8')) as Finding[];
  return new Map(findings.filter(({ id }) => !ignored.test(id)).map((one) => [one.id, one]));
}

/** Where `ours` is worse than `theirs`, for people. What only one of them has is not expected to be worse than INFO. */
function worseThan(ours: Report, theirs: Report): string[] {
  const rank = (finding?: Finding) => severities.indexOf(finding?.severity ?? 'INFO');
  return [...ours.values()]
    .filter((finding) => !(rank(finding) <= rank(theirs.get(finding.id))))
    .map(({ id, severity, finding }) => {
      const beside = theirs.get(id);
      return `${id}: ${severity} (${finding}), nginx ${beside?.severity} (${beside?.finding})`;
    });
}

function nginxConfiguration(directory: string, intermediate: number, modern: number): string {
  const body = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'];
  // https://ssl-config.mozilla.org/guidelines/6.0.json; this OpenSSL has no X25519MLKEM768.
  const ciphers = ['ECDSA-AES128-GCM-SHA256', 'RSA-AES128-GCM-SHA256']
    .concat('ECDSA-AES256-GCM-SHA384', 'RSA-AES256-GCM-SHA384')
    .concat('ECDSA-CHACHA20-POLY1305', 'RSA-CHACHA20-POLY1305')
    .map((name) => `ECDHE-${name}`);
  const server = (port: number, protocols: string) => `
  server {
    listen 127.0.0.1:${port} ssl;
    ssl_certificate ${directory}/rsa.pem;
    ssl_certificate_key ${directory}/rsa.key;
    ssl_certificate ${directory}/ecdsa.pem;
    ssl_certificate_key ${directory}/ecdsa.key;
    ssl_protocols ${protocols};
    ssl_ecdh_curve X25519:prime256v1:secp384r1;
    ssl_prefer_server_ciphers off;
    return 200 "ok";
  }`;
  return `daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr notice;
events { worker_connections 1000; }
http {
  access_log off;
${body.map((name) => `  ${name}_temp_path ${directory}/${name};`).join('\n')}
${server(intermediate, `TLSv1.2 TLSv1.3;\n    ssl_ciphers ${ciphers.join(':')}`)}
${server(modern, 'TLSv1.3')}
}
`;
}

async function startNginx(t: Test, directory: string) {
  const ports = { intermediate: await freePort(), modern: await freePort() };
  const file = `${directory}/nginx.conf`;
  writeFileSync(file, nginxConfiguration(directory, ports.intermediate, ports.modern));
  const nginx = Program.start(t, ['nginx', '-e', 'stderr', '-c', file]);
  await nginx.output(/start worker process/, 5_000);
  return ports;
}

async function startListeners(t: Test, directory: string) {
  const ports = {
    intermediate: await freePort(),
    modern: await freePort(),
    weak: await freePort(),
  };
  const certificates = ['rsa', 'ecdsa'].map((name) => ({
    cert: `${directory}/${name}.pem`,
    key: `${directory}/${name}.key`,
  }));
  const listener = (port: number, tls: object) => ({
    bind: `127.0.0.1:${port}`,
    tls: { certificates, alpn: ['http/1.1'], ...tls },
    http: { routes: [{ respond: { status: 200, body: 'ok' } }] },
  });
  await startConfigured(t, {
    listeners: {
      intermediate: listener(ports.intermediate, { preset: 'intermediate' }),
      modern: listener(ports.modern, { preset: 'modern' }),
      weak: listener(ports.weak, { max_version: '1.2', ciphers: 'ECDHE+AES+SHA1:AES+SHA1' }),
    },
  });
  return ports;
}

testWith(
  missingProgram(['openssl', 'nginx', 'testssl']),
  'testssl: no preset has a finding worse than nginx with Mozilla’s configuration',
  { timeout: SCAN_MS + 5_000 },
  async (t) => {
    const directory = temporaryDirectory(t);
    const kit = new CertificateKit(directory);
    kit.authority('authority');
    for (const [name, key] of [
      ['rsa', 'rsa:2048'],
      ['ecdsa', 'ec:P-256'],
    ] as const) {
      kit.issue(name, { issuer: 'authority', names: ['DNS:a.test'], key });
    }
    const nginx = await startNginx(t, directory);
    const headgate = await startListeners(t, directory);
    const [intermediate, modern, weak, nginxIntermediate, nginxModern] = await Promise.all([
      scan(directory, headgate.intermediate),
      scan(directory, headgate.modern),
      scan(directory, headgate.weak, ciphersOnly),
      scan(directory, nginx.intermediate),
      scan(directory, nginx.modern),
    ]);
    for (const [name, ours, theirs] of [
      ['intermediate', intermediate, nginxIntermediate],
      ['modern', modern, nginxModern],
    ] as const) {
      t.strictSame(worseThan(ours, theirs), [], name);
      const missing = [...theirs.keys()].filter((id) => !ours.has(id));
      t.strictSame(missing, [], `${name}: nothing was left out`);
      t.ok(ours.size > 90, `${name}: ${ours.size} findings`);
      for (const id of ['cert_chain_of_trust <cert#1>', 'cert_chain_of_trust <cert#2>']) {
        t.equal(ours.get(id)?.severity, 'OK', `${name}: ${id}`);
      }
    }
    t.match(modern.get('TLS1_2'), { finding: /not offered/ });
    const worse = worseThan(weak, nginxIntermediate).join('\n');
    t.match(
      worse,
      /cipherlist_STRONG: .*not offered/,
      'a listener with CBC ciphers only is found out',
    );
    t.match(worse, /LUCKY13: /);
  },
);
