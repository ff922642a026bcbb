import { randomBytes } from 'node:crypto';
import t from 'tap';
import {
  type ClientContext,
  loadOpenSsl,
  type ServerContexts,
  type ServerTlsSettings,
  TlsVersion,
} from '#src/tls/index.js';
import { SessionCache } from '#src/tls/sessions/session-slot.js';
import { type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { TlsEnds } from '#test/support/tls/tls-ends.js';
import { authority, certificate, kit as certificates } from '#test/support/tls/tls-kit.js';
import { clientContext, serverContexts } from '#test/support/tls/tls-pair.js';

const { Tls12, Tls13 } = TlsVersion;

/** Connects, listens for tickets, closes. @returns whether the session was resumed, by both sides */
function visit(kit: SocketKit, contexts: ServerContexts, context: ClientContext, host?: string) {
  const ends = new TlsEnds(kit, { contexts, context, ...(host && { host }) });
  const { server, client } = ends.pair;
  const resumed = [server.session!.isResumed, client.session!.isResumed];
  const { ticketRecords } = server;
  ends.close();
  if (resumed[0] !== resumed[1]) throw new Error('the two do not agree');
  return { isResumed: resumed[0]!, ticketRecords };
}

for (const version of [Tls12, Tls13]) {
  const name = `TLS 1.${version - 0x301}`;
  const only = { minVersion: version, maxVersion: version };
  const [one, two, three] = [randomBytes(80), randomBytes(80), randomBytes(80)];

  /** Servers with these keys are visited one after the other. @returns which resumed the session */
  const tour = (
    kit: SocketKit,
    ...stops: readonly (readonly Uint8Array[] | Partial<ServerTlsSettings>)[]
  ): boolean[] => {
    const context = clientContext(only);
    const answers = stops.map((stop) => {
      const settings = Array.isArray(stop) ? { ticketKeys: stop } : stop;
      const contexts = serverContexts(settings as Partial<ServerTlsSettings>);
      const { isResumed } = visit(kit, contexts, context);
      contexts.release();
      return isResumed;
    });
    context.release();
    return answers;
  };

  socketTest(`tickets: a session is resumed (${name})`, async (t, kit) => {
    t.same(tour(kit, [one], [one], [one]), [false, true, true], 'by any worker that has the key');
    t.same(tour(kit, [one, two], [one, two]), [false, true]);
    t.same(tour(kit, [one], [two]), [false, false], 'not by those that have another');
    t.same(tour(kit, [], []), [false, false], 'nor without a key');
    t.same(tour(kit, [one], []), [false, false]);
  });

  socketTest(`tickets: keys are rotated (${name})`, async (t, kit) => {
    t.same(tour(kit, [one], [two, one]), [false, true], 'the old key is still good');
    t.same(
      tour(kit, [one], [two, one], [two]),
      [false, true, true],
      'and gave a ticket of the new one',
    );
    t.same(tour(kit, [one], [three, two, one], [two, one]), [false, true, false]);
    t.same(tour(kit, [one, two], [two]), [false, false], 'only the first one encrypts');
    t.same(tour(kit, [two, one], [two]), [false, true], 'in one format, whoever writes it');
  });

  socketTest(`tickets: a listener that asks for certificates (${name})`, async (t, kit) => {
    const clientAuth = { mode: 'request', ca: authority(), verifyDepth: 1 } as const;
    const open = { ticketKeys: [one] };
    const asking = { ticketKeys: [one], clientAuth };
    t.same(tour(kit, asking, asking), [false, true]);
    t.same(tour(kit, open, asking), [false, false], 'resumes no session of one that does not');
    certificates.revocationList('first.crl', 'authority', 3600);
    certificates.revocationList('second.crl', 'authority', 7200);
    const listed = (file: string) => ({
      ticketKeys: [one],
      clientAuth: { ...clientAuth, crl: certificates.text(file) },
    });
    t.same(
      tour(kit, listed('first.crl'), listed('first.crl'), listed('second.crl')),
      [false, true, false],
      'nor one from before its revocation list: whoever is on it would get in',
    );
    const { clientAuth: held } = listed('first.crl');
    const past = { ticketKeys: [one], clientAuth: { ...held, isListPast: true } };
    t.same(
      tour(kit, listed('first.crl'), past, past),
      [false, false, true],
      'nor, once the list is out of date, one from before that',
    );
  });

  socketTest(`tickets: the certificate of a resumed client (${name})`, async (t, kit) => {
    const clientAuth = { mode: 'require', ca: authority(), verifyDepth: 1 } as const;
    const contexts = serverContexts({ ticketKeys: [one], clientAuth });
    const context = clientContext({ ...only, certificate: certificate(['client.test']) });
    for (const isResumed of [false, true]) {
      const ends = new TlsEnds(kit, { contexts, context });
      const { session } = ends.pair.server;
      t.equal(session!.isResumed, isResumed);
      t.same(session!.peer, {
        subject: 'CN=client.test',
        commonName: 'client.test',
        isVerified: true,
      });
      ends.close();
    }
    contexts.release();
    context.release();
  });

  socketTest(`tickets: each endpoint has its own session (${name})`, async (t, kit) => {
    const contexts = serverContexts({ ticketKeys: [one] });
    const context = clientContext(only);
    t.equal(visit(kit, contexts, context, '127.0.0.1').isResumed, false);
    t.equal(visit(kit, contexts, context, '127.0.0.2').isResumed, false);
    t.equal(visit(kit, contexts, context, '127.0.0.1').isResumed, true);
    contexts.release();
    context.release();
  });
}

socketTest('tickets: their records are counted, for the kernel to go on from', async (t, kit) => {
  for (const [ticketKeys, expected] of [
    [[randomBytes(80)], 1],
    [[randomBytes(80), randomBytes(80)], 1],
    [[], 0],
  ] as const) {
    const contexts = serverContexts({ ticketKeys }, { kernel: true });
    const context = clientContext({ minVersion: Tls13 });
    for (let visits = 0; visits < 2; visits++) {
      t.equal(visit(kit, contexts, context).ticketRecords, expected);
    }
    contexts.release();
    context.release();
  }
});

t.test('tickets: sessions that are not used any more are forgotten', async (t) => {
  const freed: number[] = [];
  const offered: number[] = [];
  /** Sessions are numbers here: negative ones are of TLS 1.2, 99 cannot be resumed. */
  const openssl = {
    ...loadOpenSsl(),
    SSL_SESSION_is_resumable: (session: number) => (session === 99 ? 0 : 1),
    SSL_SESSION_get_protocol_version: (session: number) => (session < 0 ? Tls12 : Tls13),
    SSL_set_session: (_: number, session: number) => offered.push(session),
    SSL_SESSION_free: (session: number) => {
      freed.push(session);
      return undefined;
    },
  };
  const cache = new SessionCache(openssl, 2);
  const first = cache.slot('first');
  first.offer(0);
  t.same(offered, [], 'there is none yet');
  t.equal(first.keep(99), false, 'what cannot be resumed is not kept');
  for (const session of [1, 2, 3, 4, 5]) t.ok(first.keep(session));
  t.same(freed.splice(0), [1], 'a few are kept');
  first.offer(0);
  first.offer(0);
  t.same(
    [offered.splice(0), freed.splice(0)],
    [
      [5, 4],
      [5, 4],
    ],
    'each is offered once',
  );
  first.keep(-6);
  first.offer(0);
  first.offer(0);
  t.same([offered.splice(0), freed], [[-6, -6], []], 'of TLS 1.2, more often');
  cache.slot('second').keep(21);
  t.equal(cache.slot('first'), first);
  cache.slot('third').keep(31);
  t.same(freed.splice(0), [21], 'the endpoint that was used longest ago');
  cache.release();
  t.same(freed, [2, 3, -6, 31]);
  t.equal(first.keep(13), false, 'a connection of a context that is gone');
});
