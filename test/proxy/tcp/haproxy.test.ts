// HAProxy as the other end of the PROXY protocol: what it sends we read, what we write it accepts.
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import tls from 'node:tls';
import type { Test } from 'tap';
import {
  findTlv,
  HeadMemory,
  HeadReader,
  HeadResult,
  type ProxyEndpoints,
  type ProxyHeader,
  ProxySslClient,
  ProxySslType,
  ProxyTlvType,
  readProxySsl,
  writeProxyV1,
  writeProxyV2,
} from '#src/proxy/tcp/index.js';
import { Socket } from '#src/splice/index.js';
import { until, within } from '#test/support/deadline.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { Program, runProgram } from '#test/support/programs/program.js';
import { RawPeer } from '#test/support/sockets/raw-peer.js';
import { SocketKit } from '#test/support/sockets/socket-kit.js';

const WAIT_MS = 5_000;
const memory = new HeadMemory();

/** A stream that HAProxy began: its PROXY header, and the socket behind it. */
interface Arrived {
  readonly header: ProxyHeader;
  readonly peer: RawPeer;
}

/** HAProxy with hands in front of it and behind it. */
class Bench {
  readonly kit = new SocketKit();
  readonly folder = mkdtempSync(join(tmpdir(), 'headgate-haproxy-'));
  readonly sockets: net.Socket[] = [];

  constructor(private readonly t: Test) {}

  /** A listener for HAProxy to connect to, and a port for HAProxy to listen on. */
  ports(family: 'inet' | 'inet6' = 'inet'): { listener: number; backPort: number; port: number } {
    const { fd: listener, address: back } = this.kit.listener(family);
    const { fd, address: front } = this.kit.listener(family);
    this.kit.close(fd);
    if (back.family === 'unix' || front.family === 'unix') throw new Error('no ports');
    return { listener, backPort: back.port, port: front.port };
  }

  /** Starts HAProxy with `sections` and waits until it listens on `port`. */
  async start(port: number, sections: string, host = '127.0.0.1'): Promise<void> {
    const file = join(this.folder, 'haproxy.cfg');
    const defaults = 'defaults\n timeout connect 5s\n timeout client 10s\n timeout server 10s\n';
    writeFileSync(file, `global\n nbthread 1\n${defaults}${sections}`);
    await runProgram(['haproxy', '-c', '-f', file], WAIT_MS);
    Program.start(this.t, ['haproxy', '-db', '-f', file]);
    let isListening = false;
    await until(WAIT_MS, 'haproxy listens', () => {
      const socket = net.connect(port, host, () => {
        isListening = true;
        socket.destroy();
      });
      socket.on('error', () => {});
      return isListening;
    });
  }

  own<Kind extends net.Socket>(socket: Kind): Kind {
    this.sockets.push(socket.on('error', () => {}));
    return socket;
  }

  /** The next stream that comes in with a header of which `isWanted` holds. */
  async arrival(listener: number, isWanted: (header: ProxyHeader) => boolean): Promise<Arrived> {
    const { kernel } = this.kit;
    for (;;) {
      const fd = await until(WAIT_MS, 'haproxy connects', () => {
        const accepted = kernel.accept4(listener, 0, 0, Socket.SOCK_NONBLOCK);
        return accepted >= 0 ? this.kit.own(accepted) : undefined;
      });
      const reader = new HeadReader(memory, { proxyHeader: true, clientHello: false });
      await until(WAIT_MS, 'a PROXY header', () => {
        const result = reader.advance(kernel, fd, 0);
        if (result === HeadResult.Rejected) throw new Error(`rejection ${reader.rejection}`);
        return result === HeadResult.Done;
      });
      const header = reader.proxyHeader!;
      if (isWanted(header)) return { header, peer: new RawPeer(this.kit, fd) };
      this.kit.close(fd);
    }
  }

  end(): void {
    for (const socket of this.sockets) socket.destroy();
    this.kit.closeAll();
    rmSync(this.folder, { recursive: true });
  }
}

function haproxyTest(name: string, run: (t: Test, bench: Bench) => Promise<void>): void {
  testWith(
    missingProgram(['haproxy', 'openssl']),
    `haproxy: ${name}`,
    { timeout: 30_000 },
    async (t) => {
      const bench = new Bench(t);
      try {
        await run(t, bench);
      } finally {
        bench.end();
      }
    },
  );
}

const forward = (bind: string, server: string) => `
listen forward
 mode tcp
 bind ${bind}
 server back ${server}
`;

for (const [family, host, bindHost] of [
  ['inet', '127.0.0.1', '127.0.0.1'],
  ['inet6', '::1', '[::1]'],
] as const) {
  for (const [version, option] of [
    [1, 'send-proxy'],
    [2, 'send-proxy-v2'],
    [2, 'send-proxy-v2 proxy-v2-options crc32c'],
  ] as const) {
    haproxyTest(`we read ${option} of ${family}, and leave the rest`, async (t, bench) => {
      const { listener, backPort, port } = bench.ports(family);
      const server = `${bindHost}:${backPort} ${option}`;
      await bench.start(port, forward(`${bindHost}:${port}`, server), host);
      const client = bench.own(net.connect(port, host));
      await within(WAIT_MS, 'connected', new Promise((resolve) => client.once('connect', resolve)));
      client.write('the rest');
      const { localPort } = client;
      const { header, peer } = await bench.arrival(
        listener,
        ({ endpoints }) =>
          endpoints?.source.family !== 'unix' && endpoints?.source.port === localPort,
      );
      t.equal(header.version, version);
      t.same(header.endpoints, {
        source: { family, host, port: localPort },
        destination: { family, host, port },
      });
      await until(WAIT_MS, 'the rest', () => peer.receive() > 0);
      t.equal(peer.received.toString(), 'the rest');
    });
  }
}

haproxyTest('we read what it knows of a TLS client', async (t, bench) => {
  const { listener, backPort, port } = bench.ports();
  const pem = join(bench.folder, 'both.pem');
  await runProgram(
    [
      ...['openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
      ...[
        '-nodes',
        '-subj',
        '/CN=db.example.com',
        '-days',
        '1',
        '-keyout',
        `${pem}.key`,
        '-out',
        pem,
      ],
    ],
    WAIT_MS,
  );
  const server = `127.0.0.1:${backPort} send-proxy-v2-ssl proxy-v2-options crc32c,authority,unique-id,ssl-cipher`;
  await runProgram(['sh', '-c', `cat ${pem}.key >> ${pem}`], WAIT_MS);
  await bench.start(
    port,
    forward(`127.0.0.1:${port} ssl crt ${pem} alpn h2,http/1.1`, server) +
      ' unique-id-format id-%ci\n',
  );
  const client = bench.own(
    tls.connect({
      ...{ port, host: '127.0.0.1', servername: 'db.example.com', ALPNProtocols: ['h2'] },
      rejectUnauthorized: false,
    }),
  );
  const { header } = await bench.arrival(
    listener,
    ({ tlvs }) => findTlv(tlvs, ProxyTlvType.AUTHORITY) !== undefined,
  );
  const text = (type: number) => findTlv(header.tlvs, type)?.toString();
  t.equal(text(ProxyTlvType.AUTHORITY), 'db.example.com');
  t.equal(text(ProxyTlvType.ALPN), 'h2');
  t.equal(text(ProxyTlvType.UNIQUE_ID), 'id-127.0.0.1');
  const ssl = readProxySsl(findTlv(header.tlvs, ProxyTlvType.SSL)!);
  t.equal(ssl.client, ProxySslClient.SSL);
  t.equal(findTlv(ssl.tlvs, ProxySslType.VERSION)?.toString(), 'TLSv1.3');
  t.match(findTlv(ssl.tlvs, ProxySslType.CIPHER)?.toString(), /^TLS_/);
  t.equal(client.destroyed, false);
});

haproxyTest('we read the LOCAL of its health checks', async (t, bench) => {
  const { listener, backPort, port } = bench.ports();
  const server = `127.0.0.1:${backPort} send-proxy-v2 check check-send-proxy inter 100ms`;
  await bench.start(port, forward(`127.0.0.1:${port}`, server));
  const { header } = await bench.arrival(listener, ({ isLocal }) => isLocal);
  t.same([header.version, header.endpoints, header.tlvs], [2, undefined, []]);
});

/** Sends `head` and a request; resolves with HAProxy's answer, empty when it just closes. */
async function ask(bench: Bench, port: number, head: Buffer): Promise<string> {
  const socket = bench.own(net.connect(port, '127.0.0.1'));
  socket.write(head);
  socket.write('GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n');
  const answer = buffer(socket).catch(() => Buffer.alloc(0));
  const bytes = await within(WAIT_MS, 'an answer', answer);
  return bytes.toString().split('\r\n\r\n')[1] ?? '';
}

haproxyTest('it accepts what we write, and tells it back', async (t, bench) => {
  const { port } = bench.ports();
  await bench.start(
    port,
    `
frontend tell
 mode http
 bind 127.0.0.1:${port} accept-proxy
 http-request return status 200 content-type text/plain lf-string "%[src] %[src_port] %[dst] %[dst_port] %[fc_pp_authority] %[fc_pp_unique_id]"
`,
  );
  const into = Buffer.alloc(512);
  const v1 = (pair: ProxyEndpoints | undefined) =>
    Buffer.from(into.subarray(0, writeProxyV1(into, pair)));
  const v2 = (pair: ProxyEndpoints | undefined, isFull: boolean) => {
    const tlvs = [
      { type: ProxyTlvType.ALPN, value: Buffer.from('h2') },
      { type: ProxyTlvType.AUTHORITY, value: Buffer.from('db.example.com') },
      { type: ProxyTlvType.UNIQUE_ID, value: Buffer.from('id-1') },
    ];
    const length = writeProxyV2(into, pair, isFull ? { tlvs, crc32c: true } : {});
    return Buffer.from(into.subarray(0, length));
  };
  const four: ProxyEndpoints = {
    source: { family: 'inet', host: '192.0.2.1', port: 12345 },
    destination: { family: 'inet', host: '198.51.100.2', port: 443 },
  };
  const six: ProxyEndpoints = {
    source: { family: 'inet6', host: '2001:db8::1', port: 1 },
    destination: { family: 'inet6', host: '2001:db8:0:1::2', port: 65535 },
  };
  const mixed: ProxyEndpoints = { source: four.source, destination: six.destination };
  for (const [pair, told] of [
    [four, '192.0.2.1 12345 198.51.100.2 443'],
    [six, '2001:db8::1 1 2001:db8:0:1::2 65535'],
    [mixed, '::ffff:192.0.2.1 12345 2001:db8:0:1::2 65535'],
  ] as const) {
    t.equal(await ask(bench, port, v1(pair)), `${told}  `, 'version 1');
    t.equal(await ask(bench, port, v2(pair, false)), `${told}  `, 'version 2');
    t.equal(await ask(bench, port, v2(pair, true)), `${told} db.example.com id-1`, 'with TLVs');
  }
  t.match(await ask(bench, port, v1(undefined)), /^127\.0\.0\.1 \d+ 127/, 'UNKNOWN');
  t.match(await ask(bench, port, v2(undefined, false)), /^127\.0\.0\.1 \d+ 127/, 'LOCAL');
  const wrong = v2(four, true);
  wrong[16]! ^= 1;
  t.equal(await ask(bench, port, wrong), '', 'a wrong checksum is refused');
});
