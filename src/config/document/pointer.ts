/** The JSON pointer (RFC 6901) of the whole document. */
export const ROOT = '';

/** The pointer of a key, or of an item, of what `pointer` points to. */
export function keyPointer(pointer: string, key: string | number): string {
  return `${pointer}/${String(key).replaceAll('~', '~0').replaceAll('/', '~1')}`;
}

/** The keys on the way from the root. */
export function pointerKeys(pointer: string): string[] {
  return pointer
    .split('/')
    .slice(1)
    .map((key) => key.replaceAll('~1', '/').replaceAll('~0', '~'));
}

/** How people write it: `listeners.web.bind[0]`; a key that is no plain word is quoted. */
export function pointerPath(pointer: string): string {
  if (pointer === ROOT) return 'the file';
  return pointerKeys(pointer)
    .map((key) => {
      if (/^\d+$/.test(key)) return `[${key}]`;
      return /^[\w-]+$/.test(key) ? `.${key}` : `.${JSON.stringify(key)}`;
    })
    .join('')
    .replace(/^\./, '');
}
