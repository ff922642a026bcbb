import type { HttpConnection } from '#src/proxy/http/connection/connection.js';
import { getOption, SocketOption, setOption } from '#src/splice/index.js';
import { type ExchangeRig, exchangeTest, GET } from '#test/support/http/exchange-rig.js';
import type { SocketKit } from '#test/support/sockets/socket-kit.js';

const { IPPROTO_TCP, TCP_QUICKACK } = SocketOption;
const POST = 'POST /a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n';

/** What a connection acknowledges by once it has been told this, as one of an HTTP listener. @returns 1 for at once */
function acknowledges(rig: ExchangeRig, { kernel }: SocketKit, text: string): number {
  const client = rig.room.client();
  rig.room.settle();
  const [connection] = rig.room.sessions() as HttpConnection[];
  const { fd } = connection!.transport;
  setOption(kernel, fd, IPPROTO_TCP, TCP_QUICKACK, 0);
  rig.say(client, text);
  const result = getOption(kernel, fd, IPPROTO_TCP, TCP_QUICKACK);
  connection!.terminate('stopped');
  return result;
}

exchangeTest('a part of a request is acknowledged before there is an answer', (rig, t, kit) => {
  t.equal(acknowledges(rig, kit, GET), 0, 'a whole one is not');
  t.equal(acknowledges(rig, kit, GET.slice(0, 20)), 1, 'a part of the head');
  t.equal(acknowledges(rig, kit, POST), 1, 'a head whose body has not come');
  t.equal(acknowledges(rig, kit, `${POST}01234`), 1, 'a part of the body');
  t.equal(acknowledges(rig, kit, `${POST}0123456789`), 0, 'all of it');
});
