// Flows of the TLS suite with both ends in the test's hands: a client over TLS, and what the endpoint accepts.
import { connect } from 'node:tls';
import type { Test } from 'tap';
import { ByteStream } from '../bytes.js';
import { within } from '../deadline.js';
import { Origin } from '../peers/origin.js';
import { Peer } from '../peers/peer.js';
import { authority, certificate, kit } from '../tls/tls-kit.js';
import type { Agreement, Suite, SuiteProxy } from './tls-suite.js';
import { servedTls } from './tls-suite.js';

/** What clients and endpoints say. */
export const [up, down] = [new ByteStream(1), new ByteStream(2)];

/** What endpoints speak. */
export const upstreamKinds = ['plain', 'TLS'] as const;
export type UpstreamKind = (typeof upstreamKinds)[number];

/** A proxy before an endpoint whose connections the test accepts itself. */
export async function begin(
  t: Test,
  { start }: Suite,
  kind: UpstreamKind = 'plain',
): Promise<{ readonly proxy: SuiteProxy; readonly origin: Origin }> {
  authority();
  const { chain: cert, key } = certificate(['app.test']);
  const secure = kind === 'TLS' ? { cert, key } : undefined;
  const origin = await Origin.listen('127.0.0.1:0', undefined, secure);
  t.teardown(() => origin.close());
  const tls = { ca: kit.path('authority.pem'), server_name: 'app.test' };
  const proxy = await start({
    listeners: { in: { tls: servedTls(), tcp: { upstream: 'one' } } },
    upstreams: { one: { endpoints: [origin.address], ...(secure && { tls }) } },
  });
  return { proxy, origin };
}

type Asked = Pick<Agreement, 'version'> & { readonly cipher?: string };

/** A client whose stream is what comes out of TLS; `end` says close_notify and keeps listening. */
export function dialPeer(
  { port }: Pick<SuiteProxy, 'port'>,
  { version, cipher }: Asked,
  session?: Buffer,
): Peer {
  const options = {
    ...{ host: '127.0.0.1', port, servername: 'a.test', ca: authority() },
    ...{ minVersion: version, maxVersion: version },
    ...(cipher && { ciphers: cipher }),
    ...(session && { session }),
    // Node's types do not know it here.
    allowHalfOpen: true,
  };
  return new Peer(connect(options));
}

/** So many bytes each way at once, and both ends. */
export async function swap(client: Peer, upstream: Peer, length: number): Promise<void> {
  await within(
    45_000,
    `${length} bytes both ways`,
    Promise.all([
      client.sendStream(up, length).then(() => client.end()),
      upstream.sendStream(down, length).then(() => upstream.end()),
      client.receiveStream(down, length).then(() => client.receiveEnd()),
      upstream.receiveStream(up, length).then(() => upstream.receiveEnd()),
    ]),
  );
  client.close();
  upstream.close();
}
