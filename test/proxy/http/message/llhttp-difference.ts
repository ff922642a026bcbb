// How two readings of the same bytes differ. Headgate may refuse what llhttp takes; what both take must be the same.
import { inspect } from 'node:util';
import type { TheirReading } from '#test/support/http/llhttp.js';
import type { Message, Reading } from './messages.js';

/** What is different, or undefined. */
export function requestDifference(ours: Reading, theirs: TheirReading): string | undefined {
  // llhttp knows a list of methods and no others.
  if (theirs.code === 'HPE_INVALID_METHOD') return undefined;
  return difference(ours, theirs);
}

export function responseDifference(
  ours: Reading,
  theirs: TheirReading,
  method: string,
): string | undefined {
  // Node's client takes any answer to CONNECT for a tunnel; RFC 9110 §9.3.6 only those of 2xx.
  return difference(ours, theirs, method === 'CONNECT');
}

function difference(ours: Reading, theirs: TheirReading, isTunnel = false): string | undefined {
  for (const [index, message] of ours.messages.entries()) {
    const other = theirs.messages[index];
    const isRefused = typeof ours.ending === 'number' && index === ours.messages.length - 1;
    if (other === undefined) return `${describe(message)} is missing, ${theirs.code}`;
    if (!isSame(message, other, isRefused || isTunnel)) {
      return `${describe(message)} is ${describe(other)}, ${theirs.code}`;
    }
  }
  if (ours.ending === 'whole' && theirs.messages.length > ours.messages.length) {
    return `${describe(theirs.messages[ours.messages.length]!)} is more`;
  }
  return undefined;
}

function isSame(one: Message, two: Message, isCut: boolean): boolean {
  return (
    one.start === two.start &&
    one.fields.join('\n') === two.fields.join('\n') &&
    // What was refused in the middle of its body may go on for others.
    (isCut || (one.body.equals(two.body) && one.isComplete === two.isComplete))
  );
}

function describe({ start, fields, body, isComplete }: Message): string {
  return inspect({ start, fields, body: body.toString('latin1'), isComplete });
}
