import type { HeaderEditsSnapshot } from '../http-snapshot.js';
import { HeaderName, headerNames, type MessageHead } from '../message/index.js';

/** What says how a message is read and whom it is for: no pattern takes it away. */
const UNTOUCHED: readonly number[] = [
  HeaderName.host,
  HeaderName.content_length,
  HeaderName.transfer_encoding,
  HeaderName.expect,
  HeaderName.trailer,
];

/** Names of fields that do not pass, in lower case; with `*` at its end, all that begin so. */
export function droppedNames({ set, remove }: HeaderEditsSnapshot): readonly string[] {
  return [...set.map(({ name }) => name.toLowerCase()), ...remove];
}

/**
 * Which fields of a head are left out because a route says so. For names that the parser knows that is
 * one look into a table; others are compared only where a route has others.
 */
export class FieldFilter {
  /** 1 for each number of a name that is left out. */
  readonly known: Uint8Array;
  private readonly names: readonly string[];
  private readonly prefixes: readonly string[];
  private readonly asksOthers: boolean;

  /**
   * @param sparesNone other spellings are left out as well: `X_User` is X-User where fields become variables, as in CGI
   *   and WSGI, and would get around who sets that field
   */
  constructor(
    edits: HeaderEditsSnapshot,
    private readonly sparesNone = false,
  ) {
    const names = droppedNames(edits);
    this.prefixes = names.filter((name) => name.endsWith('*')).map((name) => name.slice(0, -1));
    const isDropped = (name: string, id: number) =>
      names.includes(name) ||
      (!UNTOUCHED.includes(id) && this.prefixes.some((one) => name.startsWith(one)));
    this.known = Uint8Array.from(headerNames, (name, id) =>
      id > 0 && isDropped(name, id) ? 1 : 0,
    );
    this.names = names.filter((name) => !name.endsWith('*') && !headerNames.includes(name));
    this.asksOthers = this.names.length + this.prefixes.length > 0;
  }

  /** Whether field `index` is left out. */
  drops(head: MessageHead, index: number): boolean {
    const id = head.id(index);
    if (id !== 0) return this.known[id] === 1;
    return this.asksOthers && this.dropsOther(head, index);
  }

  private hasPrefix(name: string): boolean {
    for (const prefix of this.prefixes) if (name.startsWith(prefix)) return true;
    return false;
  }

  private dropsOther(head: MessageHead, index: number): boolean {
    for (const name of this.names) if (head.isNamed(index, name)) return true;
    if (this.prefixes.length > 0 && this.hasPrefix(head.name(index).toLowerCase())) return true;
    const meant = this.sparesNone ? head.hyphened(index) : undefined;
    return meant !== undefined && (this.names.includes(meant) || this.hasPrefix(meant));
  }
}
