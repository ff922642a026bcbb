import type { FieldSnapshot, Template, TemplateVariable } from '../http-snapshot.js';
import { type HeadWriter, Method, TargetForm } from '../message/index.js';
import type { RequestContext } from './request-context.js';

type Piece = Buffer | ((context: RequestContext, out: HeadWriter) => void);

const CRLF = Buffer.from('\r\n', 'latin1');
const SLASH = 0x2f;
const QUESTION = 0x3f;
const BACKSLASH = 0x5c;

/** How each variable is written. None of them writes a control character. */
const variables: Record<TemplateVariable, (context: RequestContext, out: HeadWriter) => void> = {
  client_ip: ({ client }, out) => out.text(client.ip),
  client_port: ({ client }, out) => {
    // Proxies tell addresses, not ports.
    if (client.ip === client.peerIp && client.peerPort > 0) out.text(String(client.peerPort));
  },
  host: ({ head: { bytes, authority } }, out) => {
    if (authority !== undefined) out.copy(bytes, authority.hostStart, authority.hostEnd);
  },
  listener: ({ listener }, out) => out.text(listener),
  method: ({ head }, out) => out.copy(head.bytes, head.methodStart, head.methodEnd),
  path: writePath,
  peer_ip: ({ client }, out) => out.text(client.peerIp),
  query: ({ head: { bytes, target } }, out) => {
    out.copy(bytes, target.queryStart, target.queryEnd);
  },
  request_id: (context, out) => context.writeRequestId(out),
  route: ({ routeName }, out) => out.text(routeName),
  scheme: ({ client }, out) => out.text(client.scheme),
  sni: ({ client }, out) => out.text(client.facts.serverName ?? ''),
  tls_subject: ({ client }, out) => out.foreignText(client.facts.tlsSubject ?? ''),
  tls_version: ({ client }, out) => out.text(client.facts.tlsVersion ?? ''),
  upstream: ({ target }, out) => out.text(target?.name ?? ''),
  uri: (context, out) => {
    const { bytes, target } = context.head;
    writePath(context, out);
    if (target.queryStart === target.pathEnd) return;
    out.byte(QUESTION);
    out.copy(bytes, target.queryStart, target.queryEnd);
  },
};

/** The absolute form may leave `/` out; `*` is no path (RFC 9112 §3.2.4). */
function writePath({ head: { bytes, target, method } }: RequestContext, out: HeadWriter): void {
  const { form, pathStart, pathEnd } = target;
  if (form === TargetForm.asterisk) return;
  const isEmpty = form === TargetForm.absolute && pathStart === pathEnd;
  if (!isEmpty) out.copy(bytes, pathStart, pathEnd);
  else if (method !== Method.OPTIONS) out.byte(SLASH);
}

/**
 * Takes out slashes in a row at the beginning of what was written: a reference that begins with two is the name of
 * another host (RFC 3986 §4.2). To browsers backslashes are slashes.
 */
function mergeSlashes(out: HeadWriter, start: number): void {
  const { bytes, at: end } = out;
  let at = start;
  while (at < end && (bytes[at] === SLASH || bytes[at] === BACKSLASH)) at++;
  if (at - start < 2) return;
  bytes.copyWithin(start + 1, at, end);
  out.at = start + 1 + end - at;
}

/** A text with variables, compiled to the bytes between them and functions that write them. */
export class CompiledTemplate {
  /** The whole text where there are no variables. */
  readonly constant: Buffer | undefined;
  private readonly pieces: readonly Piece[];

  constructor(template: Template) {
    this.pieces = template.map((part) =>
      typeof part === 'string' ? Buffer.from(part) : variables[part.variable],
    );
    const isConstant = this.pieces.every((piece) => Buffer.isBuffer(piece));
    this.constant = isConstant ? Buffer.concat(this.pieces as Buffer[]) : undefined;
  }

  write(context: RequestContext, out: HeadWriter): void {
    for (const piece of this.pieces) {
      if (typeof piece === 'function') piece(context, out);
      else out.literal(piece);
    }
  }
}

interface FieldLine {
  readonly name: Buffer;
  readonly value: CompiledTemplate;
  /** It says where to go, and begins with what the client has sent: it must not lead to another host. */
  readonly isReference: boolean;
}

/**
 * Field lines that are added to a head. Those that are always the same are one run of bytes; a field
 * whose value comes out empty is left out, as nginx does it.
 */
export class FieldLines {
  /** All lines, where none has a variable. */
  readonly constant: Buffer | undefined;
  private readonly lines: readonly FieldLine[];

  constructor(fields: readonly FieldSnapshot[]) {
    this.lines = fields.map(({ name, value }) => ({
      name: Buffer.from(`${name}: `, 'latin1'),
      value: new CompiledTemplate(value),
      isReference: name.toLowerCase() === 'location' && typeof value[0] === 'object',
    }));
    const constants = this.lines.flatMap(({ name, value: { constant } }) => {
      if (constant === undefined) return [];
      return [constant.length === 0 ? constant : Buffer.concat([name, constant, CRLF])];
    });
    this.constant = constants.length === this.lines.length ? Buffer.concat(constants) : undefined;
  }

  write(context: RequestContext, out: HeadWriter): void {
    if (this.constant !== undefined) {
      out.literal(this.constant);
      return;
    }
    for (const { name, value, isReference } of this.lines) {
      const lineAt = out.at;
      out.literal(name);
      const valueAt = out.at;
      value.write(context, out);
      if (isReference) mergeSlashes(out, valueAt);
      if (out.at === valueAt) out.at = lineAt;
      else out.literal(CRLF);
    }
  }

  /** The lines as bytes of their own, for when the request is gone. @param scratch takes them in between */
  bytes(context: RequestContext, scratch: HeadWriter): Buffer {
    if (this.constant !== undefined) return this.constant;
    const start = scratch.at;
    this.write(context, scratch);
    const bytes = Buffer.from(scratch.bytes.subarray(start, scratch.at));
    scratch.at = start;
    return bytes;
  }
}
