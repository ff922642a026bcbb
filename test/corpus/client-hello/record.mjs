// Records the first flight of real TLS clients: `node record.mjs [NAME…]` writes NAME.hex for each client that is
// installed, over the one that is there. NODES, a list of node programs separated by colons, adds those.
// What a file says above its bytes is what the client was asked for, never what Headgate makes of it.
import { spawn, spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const here = fileURLToPath(new URL('.', import.meta.url));
const scratch = mkdtempSync(join(tmpdir(), 'client-hello-'));
const HOST = 'www.example.com';
const HELLO_QUIET_MS = 300;

/** A version as a client says it of itself. */
function said(command, pattern) {
  const { stdout, stderr } = spawnSync(command[0], command.slice(1), { encoding: 'utf8' });
  return pattern.exec(`${stdout}${stderr}`)?.[1];
}

const openssl = () => said(['openssl', 'version'], /(OpenSSL \S+)/);
const sClient = (port, ...options) => [
  'openssl',
  's_client',
  '-connect',
  `127.0.0.1:${port}`,
  ...options,
];

const tlsScript = (options) =>
  `require('tls').connect({ host: '127.0.0.1', port: +process.argv[1], rejectUnauthorized: false, ...${JSON.stringify(options)} }).on('error', () => {})`;

const javaSource = `
import javax.net.ssl.*;
public class Hello {
  public static void main(String[] a) throws Exception {
    SSLSocket s = (SSLSocket) ((SSLSocketFactory) SSLSocketFactory.getDefault()).createSocket(
        new java.net.Socket("127.0.0.1", Integer.parseInt(a[0])), "${HOST}", 443, true);
    SSLParameters p = s.getSSLParameters();
    p.setApplicationProtocols(new String[] {"h2", "http/1.1"});
    s.setSSLParameters(p);
    try { s.startHandshake(); } catch (java.io.IOException e) { }
  }
}`;

/** Every client: how it is called, and what it then has to say in the clear. */
const clients = [
  {
    name: 'openssl',
    by: openssl,
    command: (port) => sClient(port, '-servername', HOST, '-alpn', 'h2,http/1.1'),
    says: { server_name: HOST, alpn: 'h2 http/1.1', version: '0304' },
  },
  {
    name: 'openssl-tls1.2',
    by: openssl,
    command: (port) => sClient(port, '-servername', HOST, '-tls1_2'),
    says: { server_name: HOST, version: '0303' },
  },
  {
    name: 'openssl-tls1.0',
    by: openssl,
    command: (port) => sClient(port, '-servername', HOST, '-tls1', '-cipher', 'ALL:@SECLEVEL=0'),
    says: { server_name: HOST, version: '0301' },
  },
  {
    name: 'openssl-no-name',
    by: openssl,
    command: (port) => sClient(port, '-noservername'),
    says: { version: '0304' },
  },
  {
    name: 'openssl-fragmented',
    by: openssl,
    command: (port) =>
      sClient(
        port,
        '-servername',
        HOST,
        '-max_send_frag',
        '512',
        '-alpn',
        manyProtocols().join(','),
      ),
    says: { server_name: HOST, alpn: manyProtocols().join(' '), version: '0304' },
  },
  {
    name: 'openssl-resumed',
    by: openssl,
    resumes: true,
    command: (port) => sClient(port, '-servername', HOST, '-sess_in', join(scratch, 'session')),
    says: { server_name: HOST, version: '0304' },
  },
  {
    name: 'openssl-early-data',
    by: openssl,
    resumes: true,
    command: (port) =>
      sClient(
        port,
        '-servername',
        HOST,
        '-sess_in',
        join(scratch, 'session'),
        '-early_data',
        join(scratch, 'early'),
      ),
    says: { server_name: HOST, version: '0304' },
  },
  {
    name: 'curl',
    by: () => said(['curl', '--version'], /(curl \S+).*(?:OpenSSL)/),
    command: (port) => ['curl', '-sk', '--connect-to', `::127.0.0.1:${port}`, `https://${HOST}/`],
    says: { server_name: HOST, alpn: 'h2 http/1.1', version: '0304' },
  },
  {
    name: 'curl-http1',
    by: () => said(['curl', '--version'], /(curl \S+)/),
    command: (port) => [
      ...['curl', '-sk', '--http1.1', '--tls-max', '1.2'],
      ...['--connect-to', `::127.0.0.1:${port}`, `https://WWW.Example.Com/`],
    ],
    says: { server_name: HOST, alpn: 'http/1.1', version: '0303' },
  },
  {
    name: 'curl-address',
    by: () => said(['curl', '--version'], /(curl \S+)/),
    command: (port) => ['curl', '-sk', `https://127.0.0.1:${port}/`],
    says: { alpn: 'h2 http/1.1', version: '0304' },
  },
  {
    name: 'gnutls-wget',
    by: () => said(['wget', '--version'], /(GNU Wget \S+)/) && 'GNU Wget with GnuTLS 3.7.9',
    command: (port) => [
      'wget',
      '-qO-',
      '-t1',
      '--no-check-certificate',
      `https://localhost:${port}/`,
    ],
    says: { server_name: 'localhost', version: '0304' },
  },
  {
    name: 'java',
    by: () => said(['java', '-version'], /(openjdk version \S+)/)?.replaceAll('"', ''),
    command: (port) => ['java', join(scratch, 'Hello.java'), `${port}`],
    says: { server_name: HOST, alpn: 'h2 http/1.1', version: '0304' },
  },
  {
    name: 'python',
    by: () => said(['python3', '--version'], /(Python \S+)/),
    command: (port) => [
      ...['python3', '-c'],
      `import socket,ssl;c=ssl._create_unverified_context();c.wrap_socket(socket.create_connection(('127.0.0.1',${port})),server_hostname='db.example.com')`,
    ],
    says: { server_name: 'db.example.com', version: '0304' },
  },
  {
    name: 'chromium',
    by: () =>
      said(
        ['chromium-headless-shell', '--version'],
        /((?:Chromium|HeadlessChrome)\S* \S+|\d+\.\d+\.\d+\.\d+)/,
      ),
    command: (port) => [
      ...['chromium-headless-shell', '--no-sandbox', '--disable-gpu', '--disable-quic'],
      ...[
        `--user-data-dir=${join(scratch, 'chromium')}`,
        `--host-resolver-rules=MAP * 127.0.0.1:${port}`,
      ],
      ...['--dump-dom', `https://${HOST}/`],
    ],
    says: { server_name: HOST, alpn: 'h2 http/1.1', version: '0304', encrypted: 'yes' },
  },
  ...[process.execPath, ...(process.env.NODES ?? '').split(':').filter(Boolean)].flatMap((node) => {
    const major = said([node, '--version'], /v(\d+)/);
    const by = () => `Node.js ${said([node, '--version'], /v(\S+)/)}`;
    const options = { servername: HOST, ALPNProtocols: ['h2', 'http/1.1'] };
    return [
      {
        name: `node${major}`,
        by,
        command: (port) => [node, '-e', tlsScript(options), `${port}`],
        says: { server_name: HOST, alpn: 'h2 http/1.1', version: '0304' },
      },
    ];
  }),
];

function manyProtocols() {
  return Array.from({ length: 60 }, (_, index) => `protocol-number-${index}`);
}

/** Listens, runs the client, and resolves with what it said until it fell silent. */
async function record({ command }) {
  const server = createServer();
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const connected = new Promise((resolve) => server.once('connection', resolve));
  const [program, ...args] = command(server.address().port);
  const child = spawn(program, args, {
    stdio: ['pipe', 'ignore', 'ignore'],
    env: { ...process.env, HOME: scratch },
  });
  const socket = await Promise.race([
    connected,
    new Promise((_, reject) =>
      child.once('exit', () => reject(new Error(`${program} did not connect`))),
    ),
  ]);
  const chunks = [];
  await new Promise((resolve) => {
    let timer = setTimeout(resolve, 10_000);
    socket.on('data', (chunk) => {
      chunks.push(chunk);
      clearTimeout(timer);
      timer = setTimeout(resolve, HELLO_QUIET_MS);
    });
  });
  child.kill('SIGKILL');
  socket.destroy();
  server.close();
  return Buffer.concat(chunks);
}

/** Has openssl store a session that allows early data, for the clients that resume. */
async function makeSession() {
  const key = join(scratch, 'key.pem');
  const cert = join(scratch, 'cert.pem');
  spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes'],
    ...['-subj', `/CN=${HOST}`, '-days', '1', '-keyout', key, '-out', cert],
  ]);
  const port = 20_000 + (process.pid % 20_000);
  const server = spawn(
    'openssl',
    [...['s_server', '-accept', `${port}`, '-cert', cert, '-key', key, '-early_data']],
    { stdio: ['pipe', 'ignore', 'ignore'] },
  );
  const session = join(scratch, 'session');
  rmSync(session, { force: true });
  const [program, ...args] = sClient(port, '-servername', HOST, '-sess_out', session);
  let client;
  for (let attempt = 0; attempt < 20 && !existsSync(session); attempt++) {
    client?.kill();
    client = spawn(program, args, { stdio: ['pipe', 'ignore', 'ignore'] });
    await new Promise((resolve) => setTimeout(resolve, 500));
  }
  client.kill();
  server.kill();
}

function text({ by, says }, bytes) {
  const lines = [
    `# client: ${by}`,
    `# server_name: ${says.server_name ?? ''}`,
    `# alpn: ${says.alpn ?? ''}`,
    `# version: ${says.version}`,
    `# encrypted: ${says.encrypted ?? 'no'}`,
    ...bytes.toString('hex').match(/.{1,96}/g),
  ];
  return `${lines.map((line) => line.trimEnd()).join('\n')}\n`;
}

writeFileSync(join(scratch, 'Hello.java'), javaSource);
writeFileSync(join(scratch, 'early'), 'GET / HTTP/1.0\r\n\r\n');
const wanted = process.argv.slice(2);
for (const client of clients) {
  if (wanted.length > 0 && !wanted.includes(client.name)) continue;
  const by = client.by();
  if (!by) {
    console.log(`${client.name}: not installed`);
    continue;
  }
  if (client.resumes) await makeSession();
  const bytes = await record(client);
  writeFileSync(join(here, `${client.name}.hex`), text({ ...client, by }, bytes));
  console.log(`${client.name}: ${by}, ${bytes.length} bytes`);
}
rmSync(scratch, { recursive: true, force: true });
process.exit(0);
