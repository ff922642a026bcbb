// Every golden conversation whole, byte by byte, and cut in two, over plain TCP; with each call by itself, and with
// those of a turn together.
import t, { type Test } from 'tap';
import { Random } from '#test/support/random.js';
import { SocketKit, socketTest } from '#test/support/sockets/socket-kit.js';
import { type Chop, eachByte, Talk, whole } from './talk.js';
import {
  type Conversation,
  conversationFiles,
  readConversations,
  type Step,
  writeConversations,
} from './wire-case.js';

/** Runs of one conversation with its segments cut in two, each with sockets of its own. */
const CUTS = 24;

const SEED = Random.seed();

/**
 * Cuts every segment in two: first where a parser changes its mind, around line ends and colons, then anywhere. Which
 * places are tried is another matter each time.
 */
function* cuts(steps: readonly Step[]): Generator<Chop> {
  const random = new Random(SEED);
  const turns = steps.map(({ bytes }) => {
    const all = [...bytes.keys()].filter((at) => at > 0);
    return all.filter((at) => /[\r\n:]/.test(bytes.toString('latin1', at - 1, at + 1)));
  });
  for (let cut = 0; cut < CUTS; cut++) {
    const places = steps.map(({ bytes }, index) => {
      const isTurn = cut % 2 === 0 && turns[index]!.length > 0;
      return isTurn ? random.pick(turns[index]!) : random.between(1, Math.max(1, bytes.length - 1));
    });
    yield ({ bytes }, index) => [bytes.subarray(0, places[index]!), bytes.subarray(places[index]!)];
  }
}

function converse(
  t: Test,
  kit: SocketKit,
  { steps }: Conversation,
  chop: Chop,
  how: string,
  sharesCalls = false,
): void {
  const talk = new Talk(kit, { sharesCalls });
  const problem = talk.run(steps, chop);
  const name = sharesCalls ? `${how}, calls together` : how;
  if (problem === undefined) t.pass(name);
  else t.fail(`${name}: ${problem}`);
  talk.finish(t);
}

for (const file of conversationFiles()) {
  const conversations = readConversations(file);
  if (process.env.UPDATE) {
    const recorded = conversations.map(({ name, steps }) => {
      const kit = new SocketKit();
      try {
        return { name, steps: new Talk(kit).record(steps) };
      } finally {
        kit.closeAll();
      }
    });
    writeConversations(file, recorded);
    continue;
  }
  for (const conversation of conversations) {
    socketTest(`wire: ${file}: ${conversation.name} (SEED=${SEED})`, (t, kit) => {
      converse(t, kit, conversation, whole, 'whole');
      converse(t, kit, conversation, whole, 'whole', true);
      converse(t, kit, conversation, eachByte, 'byte by byte');
      let number = 0;
      for (const chop of cuts(conversation.steps)) {
        converse(t, kit, conversation, chop, 'cut', number++ % 4 >= 2);
      }
    });
  }
}

t.test('wire: there is something to look at', async (t) => {
  t.ok(conversationFiles().length > 0);
});
