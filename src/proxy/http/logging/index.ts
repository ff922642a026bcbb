/**
 * What is told of requests: what is noted while a head is there (exchange note), and the lines made of it, as
 * JSON or in the combined format, of exchanges and of heads that were refused.
 */
export { exchangeLine } from './exchange-line.js';
export { type ExchangeNote, noteOf } from './exchange-note.js';
export { readable } from './readable.js';
export { type Refused, refusedLine, unopenedLine } from './refused-line.js';
