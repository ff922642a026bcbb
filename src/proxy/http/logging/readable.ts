import { isUtf8 } from 'node:buffer';

const beyondAscii = /[\x80-\xff]/;

/** A text that is a character per byte, as people should see it: as UTF-8 where it is that. */
export function readable(text: string | undefined): string | undefined {
  if (text === undefined || !beyondAscii.test(text)) return text;
  const bytes = Buffer.from(text, 'latin1');
  return isUtf8(bytes) ? bytes.toString('utf8') : text;
}
