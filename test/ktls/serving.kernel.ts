// What the kernel is not asked for, or cannot do, on a machine whose kernel does the rest.
import t from 'tap';
import { KernelTlsRefusal, TlsVersion } from '#src/tls/index.js';
import { certificate, dial, everything } from '#test/support/tls/tls-kit.js';
import { plainSettings, TlsServer } from '#test/support/tls/tls-server.js';

const timeout = 30_000;
const certificates = [certificate(['a.test']), certificate(['a.test'], 'rsa:2048')];
const settings = { ...plainSettings, certificates, ticketKeys: [Buffer.alloc(80, 3)] };

t.test(
  'serving in the kernel: off is off, and what it cannot do has a name',
  { timeout },
  async (t) => {
    const off = await TlsServer.start(t, { ...settings, kernel: 'off' }, { kernel: true });
    const open = await dial(off.port);
    open.end('in userland');
    t.equal((await everything(open)).toString(), 'in userland');
    const { Off, Cipher } = KernelTlsRefusal;
    t.match(await off.next('done'), { tx: Off, rx: Off });

    const cbc = 'ECDHE-RSA-AES128-SHA256';
    const auto = await TlsServer.start(t, {
      ...settings,
      kernel: 'auto',
      maxVersion: TlsVersion.Tls12,
      ciphers: cbc,
    });
    const socket = await dial(auto.port, { ciphers: cbc, maxVersion: 'TLSv1.2' });
    socket.end('in userland');
    t.equal((await everything(socket)).toString(), 'in userland');
    t.match(await auto.next('done'), { tx: Cipher, rx: Cipher });

    const required = await TlsServer.start(t, {
      ...settings,
      kernel: 'require',
      maxVersion: TlsVersion.Tls12,
      ciphers: cbc,
    });
    const refused = await dial(required.port, { ciphers: cbc, maxVersion: 'TLSv1.2' });
    refused.on('error', () => {});
    t.match(await required.next('failed'), {
      failure: 'kernel_tls_unavailable',
      detail: 'send: cipher, receive: cipher',
    });
  },
);
