// Golden conversations: what a client and an upstream say, and what each of them sees of the other through Headgate.
//
//   ### what the case shows
//   >> client says
//   GET / HTTP/1.1\r\n
//   Host: a\r\n
//   \r\n
//   >> upstream sees
//   …
//   >> upstream says
//   …
//   >> client sees
//   …
//   >> client ends
//
// Steps happen in their order. `upstream 2` is the second connection that was made to it. Besides, a side can be `ends`
// (it says end of stream), `sees the end`, `resets` or `sees a reset`. Bytes are written as in the golden cases;
// UPDATE=1 writes what was seen.
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { bytesOf } from './message/golden.js';

export type Action = 'says' | 'sees' | 'ends' | 'sees the end' | 'resets' | 'sees a reset';

export interface Step {
  readonly side: 'client' | 'upstream';
  /** Counts from 1 on each side. */
  readonly connection: number;
  readonly action: Action;
  readonly wire: string;
  readonly bytes: Buffer;
}

export interface Conversation {
  readonly name: string;
  readonly steps: readonly Step[];
}

// Tests run compiled, from build/test; the cases stay where they are.
const folder = new URL('../../../../test/proxy/http/wire/', import.meta.url);
const TITLE = /^(client|upstream)(?: (\d+))? (says|sees|ends|sees the end|resets|sees a reset)$/;

export function conversationFiles(): string[] {
  return readdirSync(folder).sort();
}

export function readConversations(file: string): Conversation[] {
  return readFileSync(new URL(file, folder), 'utf8')
    .split(/^### /m)
    .slice(1)
    .map((section) => {
      const [name, ...steps] = section.split(/^>> /m);
      return { name: name!.trim(), steps: steps.map(stepOf) };
    });
}

/** Writes the file anew; the comment above the first case stays. */
export function writeConversations(file: string, conversations: readonly Conversation[]): void {
  const url = new URL(file, folder);
  const comment = readFileSync(url, 'utf8').split(/^### /m)[0]!;
  const sections = conversations.map(
    ({ name, steps }) => `### ${name}\n${steps.map(textOf).join('')}`,
  );
  writeFileSync(url, comment + sections.join('\n'));
}

/** Bytes as a case writes them, a line per line. */
export function wireOf(bytes: Buffer): string {
  const text = bytes.toString('latin1').replace(/[^ -~]|[\\{}]/g, (character) => {
    const short = { '\r': '\\r', '\n': '\\n', '\t': '\\t', '\\': '\\\\' }[character];
    return short ?? `\\x${character.charCodeAt(0).toString(16).padStart(2, '0')}`;
  });
  return text.replaceAll('\\r\\n', '\\r\\n\n').replace(/([^\n])$/, '$1\n');
}

function stepOf(text: string): Step {
  const lineEnd = text.indexOf('\n');
  const title = TITLE.exec(text.slice(0, lineEnd));
  if (title === null) throw new Error(`no such step: ${text.slice(0, lineEnd)}`);
  const [, side, connection = '1', action] = title;
  const wire = text.slice(lineEnd + 1).replace(/\n+$/, '\n');
  return {
    side: side as Step['side'],
    connection: Number(connection),
    action: action as Action,
    wire: wire === '\n' ? '' : wire,
    bytes: bytesOf(wire),
  };
}

function textOf({ side, connection, action, wire }: Step): string {
  const number = connection === 1 ? '' : ` ${connection}`;
  return `>> ${side}${number} ${action}\n${wire}`;
}
