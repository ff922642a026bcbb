import type { DirectoryEntry } from '../../splice/index.js';
import { datable } from './http-time.js';

/** What a listing says of one entry. */
interface Item {
  /** As text; what is no UTF-8 in it is replaced. */
  readonly name: string;
  /** Relative to the directory, percent-encoded byte by byte. */
  readonly url: string;
  readonly isDirectory: boolean;
  /** Bytes; of files. */
  readonly size: number;
  readonly modified: string;
}

/** Bytes that need no encoding in a part of a path (RFC 3986 §2.3). */
const UNRESERVED = /[\w.~-]/;

/** Shows what is in a directory, directories first, each in the order of the bytes of their names. */
export class DirectoryListing {
  private readonly items: readonly Item[];

  /**
   * @param path of the directory as the client knows it, decoded, a character per byte
   * @param entries files and directories only
   * @param isCut there are more
   */
  constructor(
    private readonly path: string,
    entries: readonly DirectoryEntry[],
    private readonly isCut: boolean,
  ) {
    this.items = entries
      .toSorted(
        (one, other) =>
          Number(other.isDirectory) - Number(one.isDirectory) ||
          Buffer.compare(one.name, other.name),
      )
      .map(({ name, isDirectory, size, modifiedSec }) => {
        const slash = isDirectory ? '/' : '';
        return {
          name: name.toString() + slash,
          url: `./${encode(name)}${slash}`,
          isDirectory,
          size,
          modified: new Date(datable(modifiedSec) * 1000).toISOString().replace('.000Z', 'Z'),
        };
      });
  }

  /** A whole page, in UTF-8. */
  html(): Buffer {
    const title = escapeHtml(`Index of ${Buffer.from(this.path, 'latin1').toString()}`);
    const up =
      this.path === '/' ? '' : '<tr><td><a href="../">../</a></td><td></td><td></td></tr>\n';
    const rows = this.items.map(({ name, url, isDirectory, size, modified }) => {
      const bytes = isDirectory ? '' : String(size);
      return `<tr><td><a href="${escapeHtml(url)}">${escapeHtml(name)}</a></td><td>${bytes}</td><td>${modified}</td></tr>\n`;
    });
    const cut = this.isCut ? '<p>There are more.</p>\n' : '';
    return Buffer.from(
      '<!doctype html>\n<html lang="en">\n<head><meta charset="utf-8">' +
        '<meta name="viewport" content="width=device-width">' +
        `<title>${title}</title></head>\n<body>\n<h1>${title}</h1>\n<table>\n` +
        '<tr><th>Name</th><th>Bytes</th><th>Written</th></tr>\n' +
        `${up}${rows.join('')}</table>\n${cut}</body>\n</html>\n`,
    );
  }

  /** The entries as a list of objects. */
  json(): Buffer {
    const entries = this.items.map(({ name, url, isDirectory, size, modified }) => ({
      name,
      url,
      type: isDirectory ? 'directory' : 'file',
      ...(!isDirectory && { size }),
      modified,
    }));
    return Buffer.from(`${JSON.stringify(entries)}\n`);
  }
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character]!);
}

function encode(name: Buffer): string {
  let text = '';
  for (const byte of name) {
    const character = String.fromCharCode(byte);
    text += UNRESERVED.test(character)
      ? character
      : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
  }
  return text;
}
