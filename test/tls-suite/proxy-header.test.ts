// What endpoints are told, by a PROXY header, of the TLS that ends here.
import { once } from 'node:events';
import { connect, type TLSSocket } from 'node:tls';
import {
  findTlv,
  ProxyHeader,
  ProxySslClient,
  ProxySslType,
  ProxyTlvType,
  parseProxyHeader,
  readProxySsl,
} from '#src/proxy/tcp/index.js';
import { within } from '#test/support/deadline.js';
import { missingProgram } from '#test/support/machine/capability.js';
import { Origin } from '#test/support/peers/origin.js';
import { authority, certificate, kit } from '#test/support/tls/tls-kit.js';
import { served, suiteTest } from '#test/support/tls-suite/tls-suite.js';

const HEADER_BYTES_MAX = 2048;

for (const kind of ['tcp', 'http'] as const) {
  suiteTest(
    missingProgram(['openssl']),
    `tls proxy header: ${kind} endpoints are told version, cipher, ALPN, names`,
    { timeout: 20_000 },
    async (t, { start }) => {
      const origin = await Origin.listen('127.0.0.1:0');
      t.teardown(() => origin.close());
      authority();
      const client = certificate(['jo.test']);
      const proxy = await start({
        listeners: {
          in: {
            tls: {
              certificates: [served()],
              alpn: ['http/1.1'],
              client_auth: { mode: 'request', ca: kit.path('authority.pem') },
            },
            [kind]: kind === 'tcp' ? { upstream: 'one' } : { routes: [{ upstream: 'one' }] },
          },
        },
        upstreams: {
          one: {
            endpoints: [origin.address],
            send_proxy_protocol: { version: 'v2', tlvs: ['authority', 'alpn', 'ssl'] },
          },
        },
      });
      for (const isKnown of [true, false]) {
        const socket: TLSSocket = connect({
          host: '127.0.0.1',
          port: proxy.port,
          servername: 'a.test',
          ca: authority(),
          ALPNProtocols: ['http/1.1'],
          ...(isKnown && { cert: client.chain, key: client.key }),
        });
        await within(5000, 'the handshake', once(socket, 'secureConnect'));
        socket.write('GET / HTTP/1.1\r\nHost: a.test\r\n\r\n');
        const upstream = await origin.accept();
        const header = new ProxyHeader();
        let bytes = Buffer.alloc(0);
        while (parseProxyHeader(bytes, 0, bytes.length, header, HEADER_BYTES_MAX) === 0) {
          bytes = Buffer.concat([bytes, await within(5000, 'a header', upstream.receive(1))]);
        }
        const { tlvs } = header;
        t.equal(findTlv(tlvs, ProxyTlvType.AUTHORITY)!.toString(), 'a.test');
        t.equal(findTlv(tlvs, ProxyTlvType.ALPN)!.toString(), 'http/1.1');
        const ssl = readProxySsl(findTlv(tlvs, ProxyTlvType.SSL)!);
        const { SSL, CERT_CONN, CERT_SESS } = ProxySslClient;
        t.equal(ssl.client, isKnown ? SSL | CERT_CONN | CERT_SESS : SSL);
        t.equal(ssl.verify === 0, isKnown);
        t.equal(findTlv(ssl.tlvs, ProxySslType.VERSION)!.toString(), 'TLSv1.3');
        t.match(findTlv(ssl.tlvs, ProxySslType.CIPHER)!.toString(), /^TLS_AES/);
        t.equal(findTlv(ssl.tlvs, ProxySslType.CN)?.toString(), isKnown ? 'jo.test' : undefined);
        socket.destroy();
        upstream.close();
      }
    },
  );
}
