import { message } from './message.js';
import {
  bothSidesGone,
  conversation,
  departures,
  hangingUp,
  lastWords,
  type Scenario,
} from './scenarios.js';
import type { RoundTrip } from './warm-up-rig.js';

const END = 'over\n';

/** Small messages, large ones in each direction, and the ends of connections, on both sides. */
export function tcpScenarios(): readonly Scenario[] {
  const word = message(`a word ${END}`);
  // Beyond what is copied: it is spliced.
  const speech = message('x'.repeat(512 * 1024) + END);
  const small: RoundTrip = { request: word, requestEnd: END, response: word, responseEnd: END };
  return [
    departures(small),
    conversation(
      small,
      { ...small, request: speech },
      { ...small, response: speech },
      { ...small, request: speech, response: speech },
      small,
    ),
    lastWords(small),
    hangingUp(small),
    bothSidesGone(small),
    departures(small),
  ];
}
