import { Worker } from 'node:worker_threads';
import koffi from 'koffi';
import t from 'tap';
import { NativeMemory } from '#src/splice/index.js';
import { bindOpenSsl, loadOpenSsl, readString, registerCallback } from '#src/tls/index.js';
import { within } from '#test/support/deadline.js';

t.test('openssl: the functions are those of this Node', async (t) => {
  const openssl = loadOpenSsl();
  const version = process.versions.openssl.replace(/\+.*/, '');
  t.match(openssl.OpenSSL_version(0), `OpenSSL ${version}`);
  t.equal(loadOpenSsl(), openssl, 'they are looked up once');
});

t.test(
  'openssl: a function without a result answers undefined, a string may be null',
  async (t) => {
    const openssl = loadOpenSsl();
    t.equal(openssl.ERR_clear_error(), undefined);
    t.equal(openssl.ERR_get_error(), 0);
    t.equal(openssl.ERR_reason_error_string(0), null);
  },
);

t.test('openssl: every missing function is named, with what this Node is', async (t) => {
  const library = koffi.load(null);
  const func = (prototype: string): unknown => {
    if (/SSL_read\b|SSL_CTX_new\b/.test(prototype)) throw new Error('no such symbol');
    return library.func(prototype);
  };
  const message = (() => {
    try {
      bindOpenSsl({ func });
      return '';
    } catch (error) {
      return (error as Error).message;
    }
  })();
  t.match(message, process.version);
  t.match(message, process.versions.openssl);
  t.match(message, /does not offer: SSL_read, SSL_CTX_new\. Use/);
});

t.test('openssl: OpenSSL calls back from inside a call', async (t) => {
  const openssl = loadOpenSsl();
  const context = openssl.SSL_CTX_new(openssl.TLS_server_method());
  const secrets: number[] = [];
  const callback = registerCallback('keylog', (ssl) => {
    secrets.push(ssl);
  });
  openssl.SSL_CTX_set_keylog_callback(context, callback);
  const call = koffi.decode(BigInt(callback), koffi.proto('void (uintptr_t, uintptr_t)'));
  call(7, 8);
  t.same(secrets, [7]);
  openssl.SSL_CTX_free(context);
});

t.test('openssl: strings are read where OpenSSL keeps them', async (t) => {
  const memory = new NativeMemory(16);
  memory.bytes.write('a name\0and more');
  t.equal(readString(memory.address), 'a name');
  const copy = new NativeMemory(4);
  t.equal(loadOpenSsl().OPENSSL_strlcpy(copy.address, memory.address, 4), 6);
  t.equal(copy.bytes.toString('latin1'), 'a n\0');
});

t.test('openssl: a worker thread has functions and callbacks of its own', async (t) => {
  const text = `
    import { parentPort } from 'node:worker_threads';
    import { loadOpenSsl, registerCallback } from '${import.meta.resolve('#src/tls/index.js')}';
    const openssl = loadOpenSsl();
    const context = openssl.SSL_CTX_new(openssl.TLS_client_method());
    const ssl = openssl.SSL_new(context);
    const callback = registerCallback('newSession', () => 0);
    openssl.SSL_CTX_sess_set_new_cb(context, callback);
    openssl.SSL_free(ssl);
    openssl.SSL_CTX_free(context);
    parentPort.postMessage([context > 0, ssl > 0, callback > 0]);
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(text)}`));
  const answer = new Promise((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
  });
  t.same(await within(5000, 'the worker', answer), [true, true, true]);
  await worker.terminate();
});
