import { type Address, parseEndpointAddress } from './address.js';
import { type EndpointName, parseEndpointName } from './endpoint-name.js';
import { accepted, type Parsed, refused } from './parsed.js';

/** What an upstream's endpoint is called by: an address, or a name that leads to any number of them. */
export type EndpointTarget = { readonly kind: 'address'; readonly address: Address } | EndpointName;

/** What a message calls these values. */
export const ENDPOINT_TARGET =
  'an endpoint (IPv4:port, [IPv6]:port, name:port, srv:_service._proto.name, unix:/path or unix:@name)';

/** Reads where an upstream's endpoint is. What has a letter before its only colon is a name. */
export function parseEndpointTarget(text: string): Parsed<EndpointTarget> {
  if (/^srv:/i.test(text)) return parseEndpointName(text);
  const [, host] = /^([\w.-]+):[^:/]*$/.exec(text) ?? [];
  if (host !== undefined && /[a-z_-]/i.test(host) && host !== 'unix') {
    return parseEndpointName(text);
  }
  if (/^[a-z][\w.-]*$/i.test(text)) return refused(`no port, expected ${text}:port`);
  const parsed = parseEndpointAddress(text);
  return parsed.ok ? accepted({ kind: 'address', address: parsed.value }) : parsed;
}
