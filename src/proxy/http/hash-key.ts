import { hashBytes, hashText } from '../upstream/index.js';
import type { RequestContext } from './rewriting/index.js';
import { findCookie } from './routing/index.js';

/** Requests without what the key is made of, or with an empty one, are spread over all: each has a key of its own. */
let keyless = 0;

/** What requests that belong together share, for upstreams whose balancing hashes. */
export class HashKey {
  private readonly kind: 'source_ip' | 'path' | 'header' | 'cookie';
  private readonly name: string;

  /** @param text `source_ip`, `path`, `header:NAME` or `cookie:NAME` */
  constructor(text: string) {
    const [kind, name = ''] = text.split(':');
    this.kind = kind as HashKey['kind'];
    this.name = kind === 'header' ? name.toLowerCase() : name;
  }

  /** @returns 32 bits */
  of(context: RequestContext): number {
    const { head, client, path } = context;
    switch (this.kind) {
      case 'source_ip': {
        const { address } = client;
        return address === undefined ? keyless++ : hashBytes(address, 0, address.length);
      }
      case 'path':
        return hashBytes(path.bytes, path.start, path.end);
      case 'header': {
        const index = head.findNamed(this.name);
        return index < 0 || head.valueStart(index) === head.valueEnd(index)
          ? keyless++
          : hashBytes(head.bytes, head.valueStart(index), head.valueEnd(index));
      }
      default: {
        const value = context.stickyValue ?? findCookie(head, this.name);
        return value ? hashText(value) : keyless++;
      }
    }
  }
}
