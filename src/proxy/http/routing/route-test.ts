import { NetworkSet } from '../../network-set.js';
import { ServerNames } from '../../tcp/index.js';
import type { FieldMatchSnapshot, MatchSnapshot } from '../http-snapshot.js';
import {
  HeaderName,
  headerNames,
  Method,
  methodNames,
  type RequestHead,
} from '../message/index.js';
import { findCookie } from './cookie.js';
import type { HttpClient } from './http-client.js';
import { ValueTest } from './value-test.js';

interface FieldTest {
  readonly name: string;
  /** Its number, 0 for a name that the parser does not tell apart. */
  readonly id: HeaderName;
  readonly value: ValueTest;
}

/** What a route asks of a request besides host and path; compiled once. */
export class RouteTest {
  /** A bit for each {@link Method}; 0: any. */
  private methodBits = 0;
  /** Methods that have no number. */
  private readonly otherMethods: readonly string[];
  private readonly headers: readonly FieldTest[];
  private readonly query: readonly FieldTest[];
  private readonly cookies: readonly FieldTest[];
  private readonly source: NetworkSet | undefined;
  private readonly serverNames: ServerNames | undefined;
  private readonly tlsSubject: ValueTest | undefined;
  private readonly asksMore: boolean;
  private readonly asksMethod: boolean;

  constructor(match: MatchSnapshot) {
    const { methods, source, serverNames, tlsSubject } = match;
    for (const name of methods) {
      const method = methodNames.indexOf(name);
      if (method > 0) this.methodBits |= 1 << method;
    }
    this.otherMethods = methods.filter((name) => !methodNames.includes(name));
    this.headers = fieldTests(match.headers, 'bytes');
    this.query = fieldTests(match.query, 'text');
    this.cookies = fieldTests(match.cookies, 'bytes');
    this.source = source.length === 0 ? undefined : new NetworkSet(source);
    this.serverNames =
      serverNames.length === 0 ? undefined : new ServerNames([{ names: serverNames }]);
    this.tlsSubject = tlsSubject === null ? undefined : new ValueTest(tlsSubject, 'text');
    this.asksMethod = methods.length > 0;
    this.asksMore =
      this.headers.length + this.query.length + this.cookies.length > 0 ||
      this.source !== undefined ||
      this.serverNames !== undefined ||
      this.tlsSubject !== undefined;
  }

  /** Every request fits. */
  get asksNothing(): boolean {
    return !this.asksMethod && !this.asksMore;
  }

  /** @param client whom the request was found to come from */
  fits(head: RequestHead, client: HttpClient): boolean {
    if (this.asksMethod && !this.fitsMethod(head)) return false;
    return !this.asksMore || this.fitsRest(head, client);
  }

  private fitsMethod(head: RequestHead): boolean {
    if (head.method !== Method.other) return ((this.methodBits >>> head.method) & 1) === 1;
    return this.otherMethods.length > 0 && this.otherMethods.includes(head.methodName);
  }

  private fitsRest(head: RequestHead, client: HttpClient): boolean {
    for (const test of this.headers) if (!fitsHeader(head, test)) return false;
    for (const { name, value } of this.cookies) {
      if (!value.fits(findCookie(head, name))) return false;
    }
    if (this.query.length > 0 && !this.fitsQuery(head)) return false;
    if (this.source !== undefined && !client.isWithin(this.source)) return false;
    if (this.serverNames !== undefined) {
      const { serverName } = client.facts;
      if (serverName === undefined || this.serverNames.find({ serverName, alpn: [] }) < 0) {
        return false;
      }
    }
    return this.tlsSubject === undefined || this.tlsSubject.fits(client.facts.tlsSubject);
  }

  private fitsQuery(head: RequestHead): boolean {
    const parameters = new URLSearchParams(head.query);
    for (const { name, value } of this.query) {
      const values = parameters.getAll(name);
      const isFit =
        values.length === 0 ? value.fits(undefined) : values.some((one) => value.fits(one));
      if (!isFit) return false;
    }
    return true;
  }
}

function fieldTests(
  matches: readonly FieldMatchSnapshot[],
  encoding: 'bytes' | 'text',
): readonly FieldTest[] {
  return matches.map(({ name, value }) => ({
    name,
    id: Math.max(0, headerNames.indexOf(name)) as HeaderName,
    value: new ValueTest(value, encoding),
  }));
}

/** One field of the name must fit, or none may be there. */
function fitsHeader(head: RequestHead, { name, id, value }: FieldTest): boolean {
  const { bytes } = head;
  let isThere = false;
  for (let index = findField(head, id, name, 0); index >= 0; ) {
    if (value.fitsBytes(bytes, head.valueStart(index), head.valueEnd(index))) return true;
    isThere = true;
    index = findField(head, id, name, index + 1);
  }
  return !isThere && value.wantsNone;
}

function findField(head: RequestHead, id: HeaderName, name: string, from: number): number {
  return id === HeaderName.other ? head.findNamed(name, from) : head.find(id, from);
}
