import type { Dialogue, Stage } from './stage.js';

/** Part of a rehearsal. It leaves no connection of a client behind. */
export type Scene = (stage: Stage) => void;

/** Clients who talk in turn and then go, each in a way of its own; then those who do not wait for the answer. */
export function departures(dialogue: Dialogue): Scene {
  return (stage) => {
    const [left, finished, reset, ...abandoned] = Array.from({ length: 6 }, () => stage.enter());
    const all = [left!, finished!, reset!, ...abandoned];
    for (let round = 0; round < 3; round++) stage.converse(all, dialogue);
    left!.leave();
    finished!.finish();
    reset!.reset();
    stage.origin.answer = undefined;
    for (const client of abandoned) client.say(dialogue.question);
    stage.finish();
    abandoned.forEach((client, index) => {
      if (index === 0) client.reset();
      else client.leave();
    });
    stage.finish();
    // To nobody: a client that has left cannot be told from one that has said all, until it is spoken to.
    stage.origin.answer = dialogue.answer;
    stage.until(() => finished!.hasHeardAll);
    finished!.leave();
    stage.settle();
  };
}

/** One client says its last words and waits for the answer to them. */
export function lastWords(dialogue: Dialogue): Scene {
  return (stage) => {
    const client = stage.enter();
    client.say(dialogue.question);
    client.finish();
    stage.converse([client], { ...dialogue, question: dialogue.question });
    client.leave();
    stage.settle();
  };
}

/** The endpoint hangs up: behind an answer, while nobody asks for anything, and instead of an answer. */
export function hangingUp(dialogue: Dialogue): Scene {
  return (stage) => {
    const { origin } = stage;
    const client = stage.enter();
    origin.hangsUp = true;
    stage.converse([client], dialogue);
    origin.hangsUp = false;
    client.leave();
    stage.settle();
    for (const isRude of [false, true]) {
      const [idle, asking] = [stage.enter(), stage.enter()];
      stage.converse([idle, asking], dialogue);
      origin.answer = undefined;
      asking.say(dialogue.question);
      stage.finish();
      origin.dismiss(isRude);
      stage.finish();
      // A request may have been sent once more.
      origin.answer = dialogue.answer;
      stage.finish();
      idle.leave();
      asking.leave();
      stage.settle();
    }
  };
}

/** Both sides are gone at the same moment: what is left are events of descriptors that are closed. */
export function stampede(dialogue: Dialogue): Scene {
  return (stage) => {
    const clients = Array.from({ length: 4 }, () => stage.enter());
    stage.converse(clients, dialogue);
    for (const client of clients) client.reset();
    stage.origin.dismiss(true);
    stage.settle();
  };
}

/** One client, one dialogue after the other, and a while without any. */
export function conversation(...dialogues: readonly Dialogue[]): Scene {
  return (stage) => {
    const client = stage.enter();
    for (const dialogue of dialogues) stage.converse([client], dialogue);
    stage.rest();
    client.leave();
    stage.settle();
  };
}
