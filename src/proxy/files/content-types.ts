import { contentType } from 'mime-types';

const UNKNOWN = 'application/octet-stream';

/** Media types by the ends of file names: the IANA registry's as `mime-db` keeps it, with the charset of text. */
export class ContentTypes {
  private readonly own: ReadonlyMap<string, string>;

  /** @param own by what follows the last dot, lower case; they come first */
  constructor(own: Readonly<Record<string, string>>) {
    this.own = new Map(Object.entries(own));
  }

  /** @param path of a file, or its name */
  of(path: string): string {
    const name = path.slice(path.lastIndexOf('/') + 1);
    const dot = name.lastIndexOf('.');
    if (dot < 0) return UNKNOWN;
    const extension = name.slice(dot + 1).toLowerCase();
    return this.own.get(extension) ?? (contentType(`.${extension}`) || UNKNOWN);
  }
}
