// Every golden conversation over TLS on both sides: what is read and written is the same as over plain TCP.
import t from 'tap';
import { TlsVersion } from '#src/tls/index.js';
import { socketTest } from '#test/support/sockets/socket-kit.js';
import { clientContext, serverContexts } from '#test/support/tls/tls-pair.js';
import { type Chop, eachByte, Talk, whole } from './talk.js';
import { conversationFiles, readConversations } from './wire-case.js';

const halves: Chop = ({ bytes }) => [
  bytes.subarray(0, bytes.length >> 1),
  bytes.subarray(bytes.length >> 1),
];
const allButOne: Chop = ({ bytes }) => [bytes.subarray(0, -1), bytes.subarray(-1)];

const ways = [
  [TlsVersion.Tls13, 'whole', whole],
  [TlsVersion.Tls13, 'a record for each byte', eachByte],
  [TlsVersion.Tls13, 'in halves', halves],
  [TlsVersion.Tls12, 'whole', whole],
  [TlsVersion.Tls12, 'in halves', halves],
  [TlsVersion.Tls12, 'all but one byte', allButOne],
] as const;

const contexts = serverContexts();
const trusting = [TlsVersion.Tls12, TlsVersion.Tls13].map((maxVersion) =>
  clientContext({ maxVersion }),
);
t.teardown(() => {
  contexts.release();
  for (const context of trusting) context.release();
});

for (const file of conversationFiles()) {
  for (const { name, steps } of readConversations(file)) {
    socketTest(`wire over TLS: ${file}: ${name}`, (t, kit) => {
      for (const [version, how, chop] of ways) {
        const client = trusting[version === TlsVersion.Tls12 ? 0 : 1]!;
        const talk = new Talk(kit, { tls: { server: contexts, client } });
        const problem = talk.run(steps, chop);
        if (problem === undefined) t.pass(how);
        else t.fail(`TLS ${version}, ${how}: ${problem}`);
        talk.finish(t);
      }
    });
  }
}
