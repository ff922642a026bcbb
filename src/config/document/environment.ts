import { isScalar, parseDocument } from 'yaml';

/** Where variables are looked up: `process.env`, or a table in a test. */
export type Environment = Readonly<Record<string, string | undefined>>;

/** A string after substitution. */
export interface Substituted {
  text: string;
  /** The string was one `${…}` and nothing else. */
  whole: boolean;
  /** The variables it took its text from. */
  variables: string[];
  /** What could not be substituted: the piece of the string, and the message. */
  failures: { piece: string; message: string }[];
}

const PIECE = /\$\$\{|\$\{([^{}]*)\}|\$\{/g;
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;
const FORMS = `expected \${NAME} or \${NAME:-default}; for the characters themselves write $\${`;

/**
 * Replaces `${NAME}` and `${NAME:-default}`, where as in a shell the default also stands in for an
 * empty value; `$${` stands for the characters `${`.
 */
export function substitute(raw: string, environment: Environment): Substituted {
  const variables: string[] = [];
  const failures: Substituted['failures'] = [];
  const text = raw.replace(PIECE, (piece, body: string | undefined) => {
    if (piece === '$${') return '${';
    if (body === undefined) {
      failures.push({ piece, message: `"\${" without "}", ${FORMS}` });
      return '';
    }
    const [, name, fallback] = VARIABLE.exec(body) ?? [];
    if (name === undefined) {
      failures.push({ piece, message: `"${piece}" is not a variable, ${FORMS}` });
      return '';
    }
    const value = Object.hasOwn(environment, name) ? environment[name] : undefined;
    if (value === undefined && fallback === undefined) {
      const message = `environment variable ${name} is not set, expected a value or a default: \${${name}:-default}`;
      failures.push({ piece, message });
      return '';
    }
    variables.push(name);
    return fallback === undefined ? value! : value || fallback;
  });
  return { text, whole: /^\$\{[^{}]*\}$/.test(raw), variables, failures };
}

/**
 * What the text means as a plain YAML scalar: `4` a number, `true` a boolean. Anything else, and above
 * all anything with structure, stays the string it is: a variable can't inject keys.
 */
export function resolveScalar(text: string): unknown {
  if (!/^[\w.+~-]+$/.test(text)) return text;
  const { contents } = parseDocument(text, { schema: 'core' });
  return isScalar(contents) ? contents.value : text;
}
