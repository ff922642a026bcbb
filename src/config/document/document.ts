import { isCollection, LineCounter } from 'yaml';
import type { Environment } from './environment.js';
import { NodeReader, type Place } from './node-reader.js';
import { ROOT } from './pointer.js';
import { type Complaint, parseSyntax } from './syntax.js';

const TEXT_LENGTH_MAX = 1024 * 1024;

/** A YAML file as a plain value, and where in the file each part of it is written. */
export interface SourceDocument {
  value: unknown;
  /** By JSON pointer (RFC 6901), as in ajv's `instancePath`. */
  places: ReadonlyMap<string, Place>;
  /** What is wrong with the text itself: syntax, duplicate keys, aliases, variables. */
  complaints: Complaint[];
  /** What stands before this offset was read as it was meant; infinite without syntax errors. */
  soundUntil: number;
  /** Pointers to values that could not be read, and were complained about. */
  unreadable: ReadonlySet<string>;
  position(offset: number): { line: number; column: number };
}

/** Reads one YAML document. Never throws for bad text: what is wrong with it is among the complaints. */
export function readDocument(text: string, environment: Environment): SourceDocument {
  const lines = lineCounterOf(text);
  const position = (offset: number) => {
    const { line, col: column } = lines.linePos(Math.min(offset, text.length));
    return { line, column };
  };
  const nothing = (complaint: Complaint): SourceDocument => ({
    value: null,
    places: new Map(),
    complaints: [complaint],
    soundUntil: 0,
    unreadable: new Set([ROOT]),
    position,
  });
  if (text.length > TEXT_LENGTH_MAX) {
    const message = `the file has ${text.length} characters, expected at most ${TEXT_LENGTH_MAX}`;
    return nothing({ offset: 0, message });
  }
  const { document, complaints: mistakes, soundUntil } = parseSyntax(text);
  if (document === null) return nothing(mistakes[0]!);
  const reader = new NodeReader(document, text, environment, position);
  const value = reader.read();
  const complaints = [...mistakes, ...reader.complaints];
  if (value === null && !isCollection(document.contents) && complaints.length === 0) {
    return nothing({ offset: 0, message: 'the file is empty, expected a mapping (key: value)' });
  }
  const { places, unreadable } = reader;
  return { value, places, complaints, soundUntil, unreadable, position };
}

/** The parser's own count of lines misses those it skips on its way out of a mistake. */
function lineCounterOf(text: string): LineCounter {
  const lines = new LineCounter();
  lines.addNewLine(0);
  for (const { index } of text.matchAll(/\n/g)) lines.addNewLine(index + 1);
  return lines;
}
