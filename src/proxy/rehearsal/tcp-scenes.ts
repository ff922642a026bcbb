import { conversation, departures, hangingUp, lastWords, type Scene, stampede } from './scenes.js';
import { line } from './script.js';
import type { Dialogue } from './stage.js';

const END = 'over\n';
const word = line(`a word ${END}`);
/** Beyond what is copied: it is spliced. */
const speech = line('x'.repeat(512 * 1024) + END);

const small: Dialogue = { question: word, cue: END, answer: word, end: END };

/** Small messages, large ones in each direction, and the ends of connections, on both sides. */
export const tcpScenes: readonly Scene[] = [
  departures(small),
  conversation(
    small,
    { ...small, question: speech },
    { ...small, answer: speech },
    { ...small, question: speech, answer: speech },
    small,
  ),
  lastWords(small),
  hangingUp(small),
  stampede(small),
  departures(small),
];
