import { accepted, type Parsed, refused } from './parsed.js';
import { expectedWord } from './suggestion.js';

/** What texts may say of a request. Only `$status` is known later: it may stand in responses alone. */
export const templateVariables = [
  'client_ip',
  'client_port',
  'host',
  'listener',
  'method',
  'path',
  'peer_ip',
  'query',
  'request_id',
  'route',
  'scheme',
  'sni',
  'tls_subject',
  'tls_version',
  'upstream',
  'uri',
] as const;
export type TemplateVariable = (typeof templateVariables)[number];

/** A text with holes: literal text and variables, in order. */
export type Template = readonly (string | { readonly variable: TemplateVariable })[];

/** What a message calls these values. */
export const TEMPLATE = 'text, with variables such as $client_ip and "$$" for a dollar sign';

/**
 * Reads a text in which `$name` and `${name}` are variables, and `$$` is `$`. Header values are made of
 * it, so it has no control characters but the tab (RFC 9110 §5.5).
 */
export function parseTemplate(text: string): Parsed<Template> {
  const parts: Template[number][] = [];
  let literal = '';
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for
  const control = /[\0-\x08\x0a-\x1f\x7f]/.exec(text);
  if (control) {
    const code = control[0].charCodeAt(0).toString(16).padStart(4, '0');
    return refused(`a control character (U+${code.toUpperCase()}), expected ${TEMPLATE}`);
  }
  for (const [piece] of text.matchAll(/\$(?:\$|\{[^}]*\}?|[a-z_]+)?|[^$]+/gu)) {
    if (!piece.startsWith('$')) literal += piece;
    else if (piece === '$$') literal += '$';
    else {
      const name = /^\$\{?([a-z_]+)\}?$/.exec(piece)?.[1];
      if (name === undefined || (piece[1] === '{') !== piece.endsWith('}')) {
        return refused(`"${piece}" is no variable, expected ${TEMPLATE}`);
      }
      if (!isVariable(name)) {
        return refused(`unknown variable $${name}, ${expectedWord(name, templateVariables)}`);
      }
      if (literal !== '') parts.push(literal);
      literal = '';
      parts.push({ variable: name });
    }
  }
  if (literal !== '') parts.push(literal);
  return accepted(parts);
}

function isVariable(name: string): name is TemplateVariable {
  return (templateVariables as readonly string[]).includes(name);
}
