import { isIPv4, isIPv6, SocketAddress } from 'node:net';
import { posix } from 'node:path';
import { accepted, type Parsed, refused } from './parsed.js';

/** `text` is the canonical spelling: two addresses with the same text are the same address. */
export interface InetAddress {
  family: 'inet';
  host: string;
  port: number;
  text: string;
}

/** `dualStack` is a listener's `*:port`: IPv4 too. Without it the socket is IPV6_V6ONLY, see ipv6(7). */
export interface Inet6Address {
  family: 'inet6';
  host: string;
  /** The interface of a link-local address, as in `fe80::1%eth0`. */
  zone?: string;
  port: number;
  dualStack: boolean;
  text: string;
}

/** `path` of an abstract socket comes without its leading `@` (on the wire a NUL byte), see unix(7). */
export interface UnixAddress {
  family: 'unix';
  path: string;
  abstract: boolean;
  text: string;
}

export type Address = InetAddress | Inet6Address | UnixAddress;

/** `fd:NAME`, a listening socket that the service manager hands over by that name. */
export interface InheritedAddress {
  family: 'inherited';
  name: string;
  text: string;
}

export type BindAddress = Address | InheritedAddress;

/** What a message calls these values. */
export const LISTEN_ADDRESS =
  'an address to listen on (IPv4:port, [IPv6]:port, *:port, unix:/path or unix:@name)';
export const ENDPOINT_ADDRESS =
  'an address to connect to (IPv4:port, [IPv6]:port, unix:/path or unix:@name)';

/** sockaddr_un has 108 bytes for the name, one of which is the NUL that ends or begins it. */
const UNIX_NAME_BYTES_MAX = 107;
const PORT_MAX = 65_535;
/** IFNAMSIZ - 1 */
const ZONE_LENGTH_MAX = 15;

/**
 * Reads where a listener binds. Port 0 lets the kernel choose; `*:80` and `:80` mean every address of
 * both families, `0.0.0.0:80` and `[::]:80` every address of one.
 */
export function parseListenAddress(text: string): Parsed<Address> {
  if (text.startsWith('unix:')) return parseUnix(text);
  const split = splitHostPort(text, LISTEN_ADDRESS);
  if (!split.ok) return split;
  const { host, port: digits } = split.value;
  const port = parsePort(digits, 0);
  if (!port.ok) return port;
  if (host === '*' || host === '') {
    const text = `*:${port.value}`;
    return accepted({ family: 'inet6', host: '::', port: port.value, dualStack: true, text });
  }
  return parseHost(host, port.value);
}

/** Reads what a listener binds: an address, or a socket that is there already. */
export function parseBindAddress(text: string): Parsed<BindAddress> {
  if (!text.startsWith('fd:')) return parseListenAddress(text);
  const name = text.slice('fd:'.length);
  // What FileDescriptorName= takes, systemd.socket(5).
  if (!/^[!-9;-~]{1,255}$/.test(name)) {
    return refused('not a descriptor name, expected fd:NAME as in FileDescriptorName=NAME');
  }
  return accepted({ family: 'inherited', name, text });
}

/** Reads where an upstream's endpoint is. The address must be one that can be connected to. */
export function parseEndpointAddress(text: string): Parsed<Address> {
  if (text.startsWith('unix:')) return parseUnix(text);
  const split = splitHostPort(text, ENDPOINT_ADDRESS);
  if (!split.ok) return split;
  const { host, port: digits } = split.value;
  const port = parsePort(digits, 1);
  if (!port.ok) return port;
  if (host === '*' || host === '') {
    return refused(`no host, expected one address, such as 127.0.0.1:${port.value}`);
  }
  const parsed = parseHost(host, port.value);
  if (parsed.ok && isWildcard(parsed.value)) {
    return refused(
      `${host} stands for every address of this host, expected one, such as 127.0.0.1:${port.value}`,
    );
  }
  return parsed;
}

/** As much of an address as says where it is: one of a configuration, or one of a socket. */
type Place =
  | { readonly family: 'inet' | 'inet6'; readonly host: string }
  | { readonly family: 'unix' };

/** Whether the address stands for all addresses of its family. */
export function isWildcard(address: Place): boolean {
  return address.family !== 'unix' && (address.host === '0.0.0.0' || address.host === '::');
}

/** Whether only this machine can connect to the address. */
export function isLoopback(address: Place): boolean {
  switch (address.family) {
    case 'inet':
      return address.host.startsWith('127.');
    case 'inet6':
      return address.host === '::1';
    case 'unix':
      return true;
  }
}

/** Splits at the last colon, which in an IPv6 address without brackets is not the port's. */
function splitHostPort(text: string, noun: string): Parsed<{ host: string; port: string }> {
  const scheme = /^([a-z][a-z0-9+.-]*):\/\/([^/]*)/i.exec(text);
  if (scheme) return refused(`a URL, expected an address without "${scheme[1]}://"`);
  if (text.startsWith('/') || text.startsWith('@')) {
    return refused(`no "unix:", expected unix:${text} for a Unix socket`);
  }
  if (text.startsWith('[')) {
    const [, host, rest] = /^\[([^\]]*)\](.*)$/s.exec(text) ?? [];
    if (host === undefined || rest === undefined) return refused('no "]", expected [IPv6]:port');
    if (!rest.startsWith(':')) return refused(`no port after "]", expected [${host}]:port`);
    if (!isIPv6(host.split('%')[0]!)) {
      return refused(`"${host}" in the brackets is not an IPv6 address, expected ${noun}`);
    }
    return accepted({ host, port: rest.slice(1) });
  }
  const colon = text.lastIndexOf(':');
  if (text.indexOf(':') !== colon) return refused(bareIPv6(text, noun));
  if (colon < 0) {
    return refused(
      /^\d+$/.test(text)
        ? `a port alone, expected ${noun}`
        : isIPv4(text)
          ? `no port, expected ${text}:port`
          : `no port, expected ${noun}`,
    );
  }
  return accepted({ host: text.slice(0, colon), port: text.slice(colon + 1) });
}

function bareIPv6(text: string, noun: string): string {
  const [, host, port] = /^(.*):(\d+)$/s.exec(text) ?? [];
  const withPort = host !== undefined && isIPv6(host) ? `[${host}]:${port}` : `[${text}]:port`;
  return isIPv6(text) || withPort.startsWith(`[${host}]`)
    ? `an IPv6 address without brackets, expected ${withPort}`
    : `too many colons, expected ${noun}`;
}

function parsePort(digits: string, least: 0 | 1): Parsed<number> {
  const range = `a port from ${least} to ${PORT_MAX}`;
  if (digits === '') return refused(`no port after the colon, expected ${range}`);
  if (!/^(0|[1-9]\d*)$/.test(digits))
    return refused(`"${digits}" is not a port, expected ${range}`);
  const port = Number(digits);
  return port >= least && port <= PORT_MAX
    ? accepted(port)
    : refused(`port ${digits} is out of range, expected ${range}`);
}

function parseHost(host: string, port: number): Parsed<Address> {
  if (isIPv4(host)) return accepted({ family: 'inet', host, port, text: `${host}:${port}` });
  const percent = host.indexOf('%');
  const ip = percent < 0 ? host : host.slice(0, percent);
  if (isIPv6(ip)) return parseIPv6(ip, percent < 0 ? null : host.slice(percent + 1), port);
  if (/^[\d.]+$/.test(host)) {
    return refused(`"${host}" is not an IPv4 address, expected four numbers from 0 to 255`);
  }
  if (/^[a-z0-9_]([a-z0-9_.-]*[a-z0-9_])?\.?$/i.test(host)) {
    return refused(
      `names are not looked up here, expected the address of ${host}, such as 127.0.0.1:${port}`,
    );
  }
  return refused(`"${host}" is not an IP address, expected IPv4:port or [IPv6]:port`);
}

function parseIPv6(ip: string, zone: string | null, port: number): Parsed<Address> {
  const host = new SocketAddress({ address: ip, family: 'ipv6' }).address;
  const linkLocal = /^fe[89ab]/.test(host);
  if (zone === null) {
    // The kernel answers EINVAL to a link-local address without an interface.
    if (linkLocal) {
      return refused(`a link-local address needs its interface, expected [${ip}%eth0]:${port}`);
    }
    // An IPv4 address in IPv6 clothing cannot be bound on a socket that is IPV6_V6ONLY.
    const mapped = /^::ffff:([\d.]+)$/.exec(host)?.[1];
    if (mapped) return parseHost(mapped, port);
    const text = `[${host}]:${port}`;
    return accepted({ family: 'inet6', host, port, dualStack: false, text });
  }
  if (!linkLocal) {
    return refused(`only link-local addresses (fe80::/10) have a zone, expected [${ip}]:${port}`);
  }
  if (zone === '' || zone.length > ZONE_LENGTH_MAX || /[\s/%]/.test(zone)) {
    return refused(`zone "${zone}" is not an interface, expected one such as [${ip}%eth0]:${port}`);
  }
  const text = `[${host}%${zone}]:${port}`;
  return accepted({ family: 'inet6', host, zone, port, dualStack: false, text });
}

function parseUnix(text: string): Parsed<Address> {
  const name = text.slice('unix:'.length);
  const abstract = name.startsWith('@');
  const path = abstract ? name.slice(1) : name;
  if (path === '') return refused('no name after the prefix, expected unix:/path or unix:@name');
  if (path.includes('\0')) return refused('a NUL byte in the name, expected unix:/path');
  const bytes = Buffer.byteLength(path);
  if (bytes > UNIX_NAME_BYTES_MAX) {
    return refused(`${bytes} bytes of name, expected at most ${UNIX_NAME_BYTES_MAX}`);
  }
  if (abstract) return accepted({ family: 'unix', path, abstract, text });
  if (!path.startsWith('/')) {
    return refused(`a relative path, expected unix:/path or unix:@name`);
  }
  const normal = posix.normalize(path);
  if (normal.endsWith('/')) return refused('a directory, expected the path of a socket');
  return accepted({ family: 'unix', path: normal, abstract, text: `unix:${normal}` });
}
