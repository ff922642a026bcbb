import net from 'node:net';
import t from 'tap';
import { sourceKey } from '#src/proxy/upstream/index.js';
import {
  createKernel,
  Errno,
  formatAddress,
  localAddress,
  openListener,
  Sockaddr,
  Socket,
  type SocketAddress,
} from '#src/splice/index.js';
import { until } from '../../support/deadline.js';
import { temporaryDirectory } from '../../support/programs/rig.js';

const kernel = createKernel();
const ACCEPT_FLAGS = Socket.SOCK_NONBLOCK | Socket.SOCK_CLOEXEC;

/** Keys of connections to a listener at `address`, one from each of the local addresses. */
async function keysAt(address: SocketAddress, connect: readonly object[]): Promise<number[]> {
  const options = { backlog: 8, reusePort: false, ipv6Only: false };
  const fd = openListener(kernel, new Sockaddr(address), options);
  const bound = localAddress(kernel, fd);
  const keys: number[] = [];
  for (const from of connect) {
    const to = bound.family === 'unix' ? { path: bound.path } : { port: bound.port };
    const client = net.connect({ ...to, ...from } as net.NetConnectOpts);
    let accepted = -Errno.EAGAIN as number;
    await until(5000, `a connection to ${formatAddress(bound)}`, () => {
      accepted = kernel.accept4(fd, 0, 0, ACCEPT_FLAGS);
      return accepted >= 0;
    });
    keys.push(sourceKey(kernel, accepted));
    kernel.close(accepted);
    client.destroy();
  }
  kernel.close(fd);
  return keys;
}

const from = (localAddress: string) => ({ host: '127.0.0.1', localAddress });

t.test('source key: one client, one key, whatever the port', async (t) => {
  const clients = ['127.0.0.1', '127.0.0.2', '127.0.0.1'].map(from);
  const address: SocketAddress = { family: 'inet', host: '127.0.0.1', port: 0 };
  const [one, other, again] = await keysAt(address, clients);
  t.equal(one, again);
  t.not(one, other);
});

t.test('source key: an IPv4 client is the same at a dual-stack listener', async (t) => {
  const inet: SocketAddress = { family: 'inet', host: '127.0.0.1', port: 0 };
  const dual: SocketAddress = { family: 'inet6', host: '::', port: 0 };
  const [plain] = await keysAt(inet, [from('127.0.0.3')]);
  const [mapped, v6] = await keysAt(dual, [from('127.0.0.3'), { host: '::1' }]);
  t.equal(mapped, plain);
  t.not(v6, plain);
});

t.test('source key: the clients of a unix socket are all different', async (t) => {
  const path = `${temporaryDirectory(t)}/listen.sock`;
  const keys = await keysAt({ family: 'unix', path }, [{}, {}, {}]);
  t.equal(new Set(keys).size, 3);
});

t.test('source key: a client that is gone has one, too', async (t) => {
  t.type(sourceKey(kernel, -1), 'number');
});
