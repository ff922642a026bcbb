// What clients make of our alerts: each says the name of the one it was sent.
import net from 'node:net';
import tls from 'node:tls';
import t from 'tap';
import {
  Alert,
  alertFor,
  alertRecord,
  Rejection,
  rejectionNames,
  sendAlert,
} from '#src/proxy/tcp/index.js';
import { within } from '#test/support/deadline.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { runProgram } from '#test/support/programs/program.js';
import { socketTest } from '#test/support/sockets/socket-kit.js';

/** Answers whatever comes first with `alert` and closes. */
async function withServer<Result>(
  alert: Alert,
  run: (port: number) => Promise<Result>,
): Promise<Result> {
  const server = net.createServer((socket) => {
    socket.once('data', () => socket.end(alertRecord(alert)));
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    return await run((server.address() as net.AddressInfo).port);
  } finally {
    server.close();
  }
}

t.test('tls alert: the record is seven bytes of RFC 8446', async (t) => {
  t.same([...alertRecord(Alert.unrecognized_name)], [21, 3, 3, 0, 2, 2, 112]);
  t.same([...alertRecord(Alert.close_notify)], [21, 3, 3, 0, 2, 1, 0], 'a warning');
  for (const alert of Object.values(Alert)) t.equal(alertRecord(alert)[6], alert);
});

t.test('tls alert: every rejection has a name, and those of a TLS client an alert', async (t) => {
  t.same(
    Object.values(Rejection),
    rejectionNames.map((_, index) => index + 1),
    'codes without a gap',
  );
  const speechless = rejectionNames.filter((name) => alertFor(Rejection[name]) === undefined);
  t.same(
    speechless.filter((name) => !/^(proxy|head)_/.test(name)),
    ['not_tls', 'plain_http'],
  );
});

socketTest('tls alert: sent at once, or not at all', async (t, kit) => {
  const { near, far } = kit.pair();
  t.equal(sendAlert(kit.kernel, near, Alert.decode_error), 7);
  far.receive();
  t.same(far.received, alertRecord(Alert.decode_error));
  far.reset();
  t.ok(sendAlert(kit.kernel, near, Alert.decode_error) < 0, 'and no signal');
});

for (const [alert, words] of [
  [Alert.unexpected_message, /UNEXPECTED_MESSAGE/],
  [Alert.record_overflow, /RECORD_OVERFLOW/],
  [Alert.illegal_parameter, /ILLEGAL_PARAMETER/],
  [Alert.decode_error, /DECODE_ERROR/],
  [Alert.protocol_version, /PROTOCOL_VERSION/],
  [Alert.missing_extension, /MISSING_EXTENSION/],
  [Alert.unrecognized_name, /UNRECOGNIZED_NAME/],
  [Alert.no_application_protocol, /NO_APPLICATION_PROTOCOL/],
] as const) {
  t.test(`tls alert: Node’s OpenSSL understands ${alert}`, async (t) => {
    const code = await withServer(alert, (port) => {
      const socket = tls.connect({ port, host: '127.0.0.1', servername: 'a.example' });
      const failed = new Promise<string>((resolve) => {
        socket.once('error', (error: NodeJS.ErrnoException) => resolve(`${error.code}`));
      });
      return within(5_000, 'the client fails', failed);
    });
    t.match(code, words);
  });
}

testWith(missingProgram(['curl']), 'tls alert: curl shows it', { timeout: 10_000 }, async (t) => {
  await withServer(Alert.unrecognized_name, async (port) => {
    const command = ['curl', '-sSk', '--max-time', '5', `https://localhost:${port}/`];
    await t.rejects(runProgram(command, 8_000), /unrecognized name/);
  });
});
