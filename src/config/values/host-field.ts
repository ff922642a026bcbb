import { parseTemplate, type Template } from './header-template.js';
import { accepted, type Parsed, refused } from './parsed.js';

/** What a message calls these values. */
export const HOST_FIELD = 'a host name or address, perhaps with a port';
export const HOST_TEMPLATE = `${HOST_FIELD}; variables such as $host may stand in it`;

/** RFC 1035 §2.3.4, and a colon and a port. */
const LENGTH_MAX = 253 + 6;
/** `uri-host [ ":" port ]` (RFC 9110 §7.2), of which names have only what host names are made of. */
const FORM = /^([\w.-]+|\[[\dA-Fa-f:.]+\])(:\d{1,5})?$/;
/** What pieces of such a text may have, between variables. */
const PIECE = /^[\w.:[\]-]*$/;

/** Reads what a `Host` field may say: anything else would make a request that servers refuse. */
export function parseHostField(text: string): Parsed<string> {
  const reason = wrongWith(text);
  return reason === null ? accepted(text) : refused(`${reason}, expected ${HOST_FIELD}`);
}

/** Reads the same with variables in it, whose values are known once there is a request. */
export function parseHostTemplate(text: string): Parsed<Template> {
  const template = parseTemplate(text);
  if (!template.ok) return template;
  const parts = template.value;
  const literal = parts.map((part) => (typeof part === 'string' ? part : '')).join('');
  const hasVariables = parts.some((part) => typeof part !== 'string');
  const reason = hasVariables ? strangeIn(literal) : wrongWith(literal);
  return reason === null ? template : refused(`${reason}, expected ${HOST_TEMPLATE}`);
}

function wrongWith(text: string): string | null {
  if (text === '') return 'no host';
  if (text.length > LENGTH_MAX) return `${text.length} characters`;
  return strangeIn(text) ?? (FORM.test(text) ? null : 'not a host');
}

function strangeIn(text: string): string | null {
  if (PIECE.test(text)) return null;
  const strange = [...text].find((character) => !PIECE.test(character));
  return `${JSON.stringify(strange)} in a host`;
}
