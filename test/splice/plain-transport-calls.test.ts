import type { Test } from 'tap';
import {
  createKernel,
  Epoll,
  Errno,
  Nagle,
  NativeMemory,
  Outcome,
  PlainTransport,
} from '#src/splice/index.js';
import { ScriptedLibc } from '#test/support/faults/scripted-libc.js';
import { payload } from '#test/support/random.js';
import type { RawPeer } from '#test/support/sockets/raw-peer.js';
import { pause, type SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';

// A call that somebody else makes for a transport leaves it as its own call would have.

const { EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLERR, EPOLLHUP } = Epoll;
const memory = new NativeMemory(16 * 1024 * 1024);
const flags = { read: 0x40, write: 0x4040 };

interface End {
  readonly libc: ScriptedLibc;
  readonly transport: PlainTransport;
  readonly far: RawPeer;
}

/** Two transports to which the same has happened. */
function twins(
  kit: SocketKit,
  family: 'inet' | 'unix',
  nagle: Nagle,
  happen: Happening,
  delaysAcks = false,
): End[] {
  return [0, 1].map(() => {
    const libc = new ScriptedLibc();
    const { near, far } = kit.pair(family);
    const isTcp = family === 'inet';
    const transport = new PlainTransport(createKernel(libc), near, isTcp, nagle, delaysAcks);
    transport.notice(EPOLLOUT);
    happen(transport, far);
    libc.trace.length = 0;
    return { libc, transport, far };
  });
}

type Happening = (transport: PlainTransport, far: RawPeer) => void;

/** All that a transport knows, but for where it is connected to. */
function knowledge({ transport, libc }: End): Record<string, unknown> {
  const { fd, socket, kernel, ...rest } = transport as unknown as Record<string, unknown>;
  const options = libc.trace.filter(({ name }) => name === 'setsockopt');
  return { ...rest, options: options.map(({ args }) => args.slice(1, 3)) };
}

const reads: readonly (readonly [string, number, Happening])[] = [
  ['nothing', 1000, (transport) => transport.notice(EPOLLIN)],
  [
    'less than was asked for',
    1000,
    (transport, far) => {
      far.send(payload(1, 100));
      transport.notice(EPOLLIN);
    },
  ],
  [
    'as much as was asked for',
    100,
    (transport, far) => {
      far.send(payload(1, 100));
      transport.notice(EPOLLIN);
    },
  ],
  [
    'the end',
    100,
    (transport, far) => {
      far.end();
      pause(1);
      transport.notice(EPOLLIN | EPOLLRDHUP);
    },
  ],
  [
    'an end of which no event has told',
    100,
    (transport, far) => {
      transport.notice(EPOLLIN);
      far.end();
      pause(1);
    },
  ],
  [
    'the last bytes before the end',
    1000,
    (transport, far) => {
      far.send(payload(1, 100));
      far.end();
      pause(1);
      transport.notice(EPOLLIN | EPOLLRDHUP);
    },
  ],
  [
    'a reset',
    1000,
    (transport, far) => {
      far.reset();
      transport.notice(EPOLLIN);
    },
  ],
  [
    'bytes before a reset',
    1000,
    (transport, far) => {
      far.send(payload(1, 100));
      far.reset();
      transport.notice(EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR);
    },
  ],
];

const writes: readonly (readonly [string, number, Happening])[] = [
  ['all, in one segment', 100, () => {}],
  ['all, in several', 5000, () => {}],
  ['a part', memory.byteLength, () => {}],
  [
    'nothing',
    1000,
    (transport) => {
      for (const _ of [1, 2]) {
        while (transport.write(memory.address, memory.byteLength) > 0);
        pause(1);
      }
      transport.writable = true;
    },
  ],
  ['a peer that is gone', 1000, (_, far) => far.reset()],
];

/** The same call by the one and for the other. */
function compare(
  t: Test,
  name: string,
  [one, other]: End[],
  act: 'read' | 'write',
  length: number,
) {
  const { address } = memory;
  const { kernel } = other!.transport as unknown as { kernel: ReturnType<typeof createKernel> };
  const { fd } = other!.transport;
  let answers: number[];
  if (act === 'read') {
    const result = kernel.recv(fd, address, length, flags.read);
    answers = [one!.transport.read(address, length), other!.transport.hasRead(result, length)];
  } else {
    const written = one!.transport.write(address, length);
    other!.transport.expectWrite(length);
    const result = kernel.send(fd, address, length, flags.write);
    answers = [written, other!.transport.hasWritten(result, length)];
  }
  // How much goes into a socket until it is full is the kernel's affair.
  const [first, second] = answers.map((answer) => (answer > 64 * 1024 ? 'much' : answer));
  t.equal(second, first, name);
  t.same(knowledge(other!), knowledge(one!), `${name}: known afterwards`);
  return first;
}

for (const family of ['inet', 'unix'] as const) {
  socketTest(`plain transport: what was read for it is its own (${family})`, async (t, kit) => {
    const met = new Set<unknown>();
    for (const [name, length, happen] of reads) {
      const both = twins(kit, family, Nagle.off, happen, family === 'inet');
      for (let turn = 0; turn < 3; turn++) {
        met.add(compare(t, `${name}, read ${turn}`, both, 'read', length));
        // After the end a read is not made any more.
        if (both.some(({ transport }) => transport.hasReadAll)) break;
      }
    }
    const expected = [Outcome.Blocked, Outcome.Eof, 100];
    t.ok([...expected, Outcome.Failed].every((outcome) => met.has(outcome)) || family === 'unix');
    t.ok(expected.every((outcome) => met.has(outcome)));
  });

  socketTest(`plain transport: what was written for it is its own (${family})`, async (t, kit) => {
    const met = new Set<unknown>();
    for (const [name, length, happen] of writes) {
      for (const nagle of family === 'inet' ? [Nagle.off, Nagle.unused] : [Nagle.off]) {
        const both = twins(kit, family, nagle, happen);
        // What was full a moment ago may have room by now, in one of the two.
        const turns = length === memory.byteLength ? 1 : 3;
        for (let turn = 0; turn < turns; turn++) {
          met.add(compare(t, `${name}, write ${turn} (${nagle})`, both, 'write', length));
        }
      }
    }
    const outcomes = [Outcome.Blocked, Outcome.Failed, 100, 'much'];
    t.ok(outcomes.every((outcome) => met.has(outcome)));
  });
}

socketTest('plain transport: an error that was met for it is its own', async (t, kit) => {
  for (const errno of [Errno.ENOMEM, Errno.ETIMEDOUT, Errno.EPIPE]) {
    const transport = new PlainTransport(kit.kernel, kit.pair().near, true);
    transport.notice(EPOLLIN | EPOLLOUT);
    t.equal(transport.hasRead(-errno, 10), Outcome.Failed);
    t.same([transport.readable, transport.errno], [false, errno]);
    transport.errno = 0;
    t.equal(transport.hasWritten(-errno, 10), Outcome.Failed);
    t.same([transport.writable, transport.errno], [false, errno]);
  }
});
