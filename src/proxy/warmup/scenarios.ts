import type { RoundTrip, WarmUpRig } from './warm-up-rig.js';

/** Part of a warm-up. It leaves no connection of a client behind. */
export type Scenario = (rig: WarmUpRig) => void;

/** Clients who talk in turn and then go, each in a way of its own; then those who do not wait for the answer. */
export function departures(roundTrip: RoundTrip): Scenario {
  return (rig) => {
    const [left, finished, reset, ...abandoned] = Array.from({ length: 6 }, () => rig.connect());
    const all = [left!, finished!, reset!, ...abandoned];
    for (let round = 0; round < 3; round++) rig.exchange(all, roundTrip);
    left!.leave();
    finished!.finish();
    reset!.reset();
    rig.origin.response = undefined;
    for (const client of abandoned) client.say(roundTrip.request);
    rig.finish();
    abandoned.forEach((client, index) => {
      if (index === 0) client.reset();
      else client.leave();
    });
    rig.finish();
    // To nobody: a client that has left cannot be told from one that has said all, until it is spoken to.
    rig.origin.response = roundTrip.response;
    rig.until(() => finished!.hasHeardAll);
    finished!.leave();
    rig.settle();
  };
}

/** One client says its last words and waits for the answer to them. */
export function lastWords(roundTrip: RoundTrip): Scenario {
  return (rig) => {
    const client = rig.connect();
    rig.exchange([client], roundTrip, true);
    client.leave();
    rig.settle();
  };
}

/** The endpoint hangs up: behind an answer, while nobody asks for anything, and instead of an answer. */
export function hangingUp(roundTrip: RoundTrip): Scenario {
  return (rig) => {
    const { origin } = rig;
    const client = rig.connect();
    origin.hangsUp = true;
    rig.exchange([client], roundTrip);
    origin.hangsUp = false;
    client.leave();
    rig.settle();
    for (const isRude of [false, true]) {
      const [idle, asking] = [rig.connect(), rig.connect()];
      rig.exchange([idle, asking], roundTrip);
      origin.response = undefined;
      asking.say(roundTrip.request);
      rig.finish();
      origin.hangUp(isRude);
      rig.finish();
      // A request may have been sent once more.
      origin.response = roundTrip.response;
      rig.finish();
      idle.leave();
      asking.leave();
      rig.settle();
    }
  };
}

/** Both sides are gone at the same moment: what is left are events for descriptors that are closed already. */
export function bothSidesGone(roundTrip: RoundTrip): Scenario {
  return (rig) => {
    const clients = Array.from({ length: 4 }, () => rig.connect());
    rig.exchange(clients, roundTrip);
    for (const client of clients) client.reset();
    rig.origin.hangUp(true);
    rig.settle();
  };
}

/** One client, one round trip after the other, and a while without any. */
export function conversation(...roundTrips: readonly RoundTrip[]): Scenario {
  return (rig) => {
    const client = rig.connect();
    for (const roundTrip of roundTrips) rig.exchange([client], roundTrip);
    rig.rest();
    client.leave();
    rig.settle();
  };
}
