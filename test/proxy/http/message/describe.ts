// What was read from a head, as text: for golden cases, and to compare two readings of the same bytes.
import {
  Framing,
  HeaderName,
  type HttpRejection,
  headerNames,
  httpRejectionName,
  type MessageHead,
  type RequestHead,
  type ResponseHead,
  Scheme,
  statusFor,
  TargetForm,
} from '#src/proxy/http/index.js';

/** The answer of a parser: `consumed N`, `partial`, or `rejected NAME STATUS`. */
export function describeAnswer(answer: number): string {
  if (answer > 0) return `consumed ${answer}`;
  if (answer === 0) return 'partial';
  const rejection = -answer as HttpRejection;
  return `rejected ${httpRejectionName(rejection)} ${statusFor(rejection)}`;
}

export function describeRequest(head: RequestHead): string {
  const { target, authority } = head;
  return [
    `method ${head.methodName}`,
    `target ${keyOf(TargetForm, target.form)} ${quote(head.targetText)}`,
    ...(target.scheme === Scheme.none ? [] : [`scheme ${keyOf(Scheme, target.scheme)}`]),
    `path ${quote(head.path)}${target.hasEscapes ? ' with escapes' : ''}`,
    ...(target.queryStart > target.pathEnd ? [`query ${quote(head.query)}`] : []),
    `host ${authority === undefined ? 'none' : `${quote(head.hostName)} ${authority.port}`}`,
    ...describeMessage(head),
    ...(head.expectsContinue ? ['expects continue'] : []),
    ...(head.wantsUpgrade ? ['wants upgrade'] : []),
    ...describeFields(head),
  ].join('\n');
}

export function describeResponse(head: ResponseHead): string {
  return [
    `status ${head.status}${head.isInterim ? ' interim' : ''}`,
    `reason ${quote(head.reason)}`,
    ...describeMessage(head),
    ...describeFields(head),
  ].join('\n');
}

function describeMessage(head: MessageHead): string[] {
  const length = head.contentLength >= 0 ? ` ${head.contentLength}` : '';
  return [
    `version 1.${head.minorVersion}`,
    `framing ${keyOf(Framing, head.framing)}${length}`,
    `connection ${head.keepAlive ? 'keep-alive' : 'close'}`,
  ];
}

function describeFields(head: MessageHead): string[] {
  return Array.from({ length: head.count }, (_, index) => {
    const id = head.id(index);
    const known = id === HeaderName.other ? '' : ` = ${headerNames[id]}`;
    const hop = head.isHopByHop(index) ? ', hop-by-hop' : '';
    const imitated = head.imitates(index);
    const imitates = imitated === HeaderName.other ? '' : `, imitates ${headerNames[imitated]}`;
    return `field ${quote(head.name(index))}: ${quote(head.value(index))}${known}${hop}${imitates}`;
  });
}

function keyOf(names: Readonly<Record<string, number>>, value: number): string {
  return Object.keys(names).find((key) => names[key] === value) ?? `${value}?`;
}

/** As a string literal, with other bytes than visible ones escaped. */
export function quote(text: string): string {
  const escaped = text.replace(/[^ -~]|["\\]/g, (character) => {
    const code = character.charCodeAt(0);
    if (code >= 0x21 && code <= 0x7e) return `\\${character}`;
    return `\\x${code.toString(16).padStart(2, '0')}`;
  });
  return `"${escaped}"`;
}
