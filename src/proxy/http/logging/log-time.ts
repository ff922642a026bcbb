const SECOND_MS = 1000;
const MINUTES = 60;
const months = 'Jan Feb Mar Apr May Jun Jul Aug Sep Oct Nov Dec'.split(' ');

let second = Number.NaN;
let text = '';

/**
 * The time in a line of the combined format, `21/Nov/2026:07:34:30 +0100`: local, made once a second.
 *
 * @param nowMs wall-clock time, ms since 1970
 */
export function logTime(nowMs: number): string {
  const current = Math.floor(nowMs / SECOND_MS);
  if (current !== second) {
    second = current;
    text = format(new Date(current * SECOND_MS));
  }
  return text;
}

function format(date: Date): string {
  const day = `${two(date.getDate())}/${months[date.getMonth()]}/${date.getFullYear()}`;
  const time = `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}`;
  // JavaScript counts westwards.
  const offset = -date.getTimezoneOffset();
  const minutes = Math.abs(offset);
  const zone = `${two(Math.floor(minutes / MINUTES))}${two(minutes % MINUTES)}`;
  return `${day}:${time} ${offset < 0 ? '-' : '+'}${zone}`;
}

function two(number: number): string {
  return String(number).padStart(2, '0');
}
