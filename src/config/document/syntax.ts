import {
  Composer,
  type CST,
  type Document,
  Lexer,
  Parser,
  type Scalar,
  visit,
  type YAMLError,
} from 'yaml';

/** Something wrong with the text at an offset. */
export interface Complaint {
  offset: number;
  message: string;
}

/** What the YAML parser makes of a text. Where it found mistakes the document is its best guess. */
export interface Syntax {
  document: Document.Parsed | null;
  complaints: Complaint[];
  /** What stands before this offset was read as it was meant; infinite without mistakes. */
  soundUntil: number;
}

/** How many collections may stand in each other; the configuration has about ten. */
export const DEPTH_MAX = 100;

/** Parses YAML 1.2, one document. */
export function parseSyntax(text: string): Syntax {
  const parser = new Parser();
  const tokens: CST.Token[] = [];
  for (const lexeme of new Lexer().lex(text)) {
    tokens.push(...parser.next(lexeme));
    // What comes after the tokens is recursive, and V8 does not survive every end of its stack.
    if (parser.stack.length > DEPTH_MAX) {
      const message = `nested more than ${DEPTH_MAX} deep, expected a few levels`;
      return { document: null, complaints: [{ offset: parser.offset, message }], soundUntil: 0 };
    }
  }
  tokens.push(...parser.end());
  // NodeReader looks for duplicate keys itself, to say where the first one is.
  const composer = new Composer({ schema: 'core', prettyErrors: false, uniqueKeys: false });
  const [document, second] = composer.compose(tokens, true, text.length);
  if (!document) throw new Error('the composer was told to make a document, and made none');
  const errors = toComplaints(withoutCascade(document.errors), document);
  const others = toComplaints(document.warnings, document);
  if (second) {
    const message = 'a second document begins here, expected one document in the file';
    others.push({ offset: second.range[0], message });
  }
  return { document, complaints: [...errors, ...others], soundUntil: lineOfFirst(errors, text) };
}

/** Where the line of the first error begins: the rest of that line may be part of the mistake. */
function lineOfFirst(errors: readonly Complaint[], text: string): number {
  const first = errors.reduce((least, { offset }) => Math.min(least, offset), Infinity);
  if (first === 0 || first === Infinity) return first;
  return text.lastIndexOf('\n', first - 1) + 1;
}

/** Where the parser has lost its way every token is an error: the first of them says it. */
function withoutCascade(errors: readonly YAMLError[]): YAMLError[] {
  const isStray = ({ message }: YAMLError) => /token in YAML (stream|document)/.test(message);
  const firstStray = errors.findIndex(isStray);
  return errors.filter((error, index) => index <= firstStray || !isStray(error));
}

/** The parser complains of an unclosed string at its end, which as a rule is the end of the file. */
function toComplaints(errors: readonly YAMLError[], document: Document.Parsed): Complaint[] {
  const starts = new Map<number, number>();
  visit(document, {
    Scalar(_, { type, range }: Scalar) {
      if (range && type?.startsWith('QUOTE')) starts.set(range[1], range[0]);
    },
  });
  return errors.map((error) => {
    const [offset] = error.pos;
    return error.message.startsWith('Missing closing')
      ? { offset: starts.get(offset) ?? offset, message: 'a string without its closing quote' }
      : { offset, message: reword(error) };
  });
}

/** The library's messages are for programmers where they speak of its own API or of YAML's grammar. */
function reword({ code, message }: YAMLError): string {
  switch (code) {
    case 'TAB_AS_INDENT':
      return 'a tab in the indentation, expected spaces';
    case 'TAG_RESOLVE_FAILED':
      return message.replace(/^Unresolved tag: (.*)$/, 'unknown tag $1, expected none');
    case 'MULTILINE_IMPLICIT_KEY':
      return 'a key without its colon, expected key: value';
    case 'BAD_SCALAR_START':
      return `YAML syntax: ${message}, expected quotes around it`;
    default:
      if (/^Unexpected .* at node end$/.test(message)) {
        return 'text after the end of a value, expected quotes around all of it';
      }
      return `YAML syntax: ${message.replace(/^Unexpected .* token in YAML \w+:/, 'Unexpected')}`;
  }
}
