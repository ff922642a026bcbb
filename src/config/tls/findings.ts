import { entries, isMapping, keyPointer, pointerPath, property } from '../document/index.js';
import { type Finding, show } from '../validation/index.js';
import { type Files, type Parsed, parseServerName } from '../values/index.js';
import { type CertificateKeys, readCertificate } from './certificate.js';
import { readAuthorities, readRevocationLists } from './client-auth.js';
import type { TlsVersionName } from './preset.js';
import { lowestVersion, type ProtocolKeys } from './protocol.js';
import { parseTicketKeys } from './ticket-keys.js';

/**
 * Finds what is wrong with TLS beyond the type of a value: with files, with what two keys say together,
 * and with what a listener or an upstream says beside. The value may be invalid otherwise.
 */
export function findTlsProblems(file: unknown, files: Files): Finding[] {
  const listeners = entries(property(file, 'listeners')).flatMap(([name, listener]) => {
    const pointer = `${keyPointer('/listeners', name)}/tls`;
    return ofListener(property(listener, 'tls'), property(listener, 'bind'), pointer, files);
  });
  const upstreams = entries(property(file, 'upstreams')).flatMap(([name, upstream]) => {
    const pointer = `${keyPointer('/upstreams', name)}/tls`;
    return ofUpstream(property(upstream, 'tls'), upstream, pointer, files);
  });
  return [...listeners, ...upstreams];
}

function ofListener(tls: unknown, bind: unknown, pointer: string, files: Files): Finding[] {
  if (!isMapping(tls)) return [];
  const certificates = property(tls, 'certificates');
  const isUnix = [bind].flat().some((one) => typeof one === 'string' && one.startsWith('unix:'));
  return [
    ...(Array.isArray(certificates) ? certificates : []).flatMap((one, index) =>
      ofCertificate(one, `${pointer}/certificates/${index}`, files),
    ),
    ...ofVersions(tls, pointer),
    ...ofKernel(tls, isUnix, 'a Unix socket of the listener', pointer),
    ...ofTickets(property(tls, 'session_tickets'), `${pointer}/session_tickets`, files),
    ...ofClientAuth(property(tls, 'client_auth'), `${pointer}/client_auth`, files),
  ];
}

function ofUpstream(tls: unknown, upstream: unknown, pointer: string, files: Files): Finding[] {
  if (!isMapping(tls)) return [];
  const endpoints = property(upstream, 'endpoints');
  const isUnix = (Array.isArray(endpoints) ? endpoints : []).some((one) => {
    const address = isMapping(one) ? property(one, 'address') : one;
    return typeof address === 'string' && address.startsWith('unix:');
  });
  const found = [
    ...ofVersions(tls, pointer),
    ...ofKernel(tls, isUnix, 'a Unix socket among the endpoints', pointer),
    ...ofFile(property(tls, 'ca'), `${pointer}/ca`, (path) => readAuthorities(path, files)),
  ];
  if (property(upstream, 'demo') === true) {
    const message = `${pointerPath(pointer)} is for a demo origin, which speaks no TLS, expected "endpoints" that do`;
    found.push({ pointer, at: 'key', message, absence: false });
  }
  if (property(tls, 'cert') !== undefined) return [...found, ...ofCertificate(tls, pointer, files)];
  for (const key of ['key', 'passphrase_file']) {
    if (property(tls, key) === undefined) continue;
    const place = keyPointer(pointer, key);
    const message = `${pointerPath(place)} is there without "cert", expected the certificate it belongs to`;
    found.push({ pointer: place, at: 'key', message, absence: true });
  }
  return found;
}

function ofCertificate(value: unknown, pointer: string, files: Files): Finding[] {
  const cert = text(value, 'cert');
  if (cert === undefined) return [];
  const names = property(value, 'names');
  // Names that are none are found by the schema; they keep their places.
  const parsed = (Array.isArray(names) ? names : []).map((one) =>
    typeof one === 'string' ? parseServerName(one) : undefined,
  );
  const keys: CertificateKeys = {
    cert,
    key: text(value, 'key'),
    passphrase_file: text(value, 'passphrase_file'),
    ocsp: text(value, 'ocsp'),
    names: parsed.map((one) => (one?.ok ? one.value : '*')),
  };
  return readCertificate(keys, files).problems.map(({ key, index, reason }) => {
    const place = keyPointer(pointer, key);
    const item = index === undefined ? place : keyPointer(place, index);
    const offending = index === undefined ? keys[key] : (names as unknown[])[index];
    return about(item, offending, reason);
  });
}

function ofVersions(tls: unknown, pointer: string): Finding[] {
  const highest = version(property(tls, 'max_version')) ?? '1.3';
  const said = version(property(tls, 'min_version'));
  const preset = property(tls, 'preset') === 'modern' ? 'modern' : undefined;
  const keys: Pick<ProtocolKeys, 'preset' | 'min_version'> = { preset, min_version: said };
  const lowest = lowestVersion(keys);
  if (lowest <= highest) return [];
  const place = keyPointer(pointer, 'max_version');
  const origin = said === undefined ? `preset ${preset}` : 'min_version';
  const message = `${pointerPath(place)} is "${highest}": below ${lowest}, which is what ${origin} begins with`;
  return [
    { pointer: place, at: 'value', message: `${message}, expected ${lowest}`, absence: false },
  ];
}

function ofKernel(tls: unknown, isUnix: boolean, socket: string, pointer: string): Finding[] {
  if (property(tls, 'kernel') !== 'require' || !isUnix) return [];
  const place = keyPointer(pointer, 'kernel');
  return [
    about(place, 'require', `not possible for ${socket}, expected auto: kernel TLS is for TCP`),
  ];
}

function ofTickets(tickets: unknown, pointer: string, files: Files): Finding[] {
  return ofFile(property(tickets, 'key_file'), `${pointer}/key_file`, (path) => {
    const content = files.read(path);
    if (content.ok) return parseTicketKeys(content.value);
    return { ...content, reason: `${content.reason}, expected ticket keys` };
  });
}

function ofClientAuth(clientAuth: unknown, pointer: string, files: Files): Finding[] {
  const { ca, crl } = { ca: property(clientAuth, 'ca'), crl: property(clientAuth, 'crl') };
  return [
    ...ofFile(ca, `${pointer}/ca`, (path) => readAuthorities(path, files)),
    ...ofFile(crl, `${pointer}/crl`, (path) => readRevocationLists(path, files)),
  ];
}

function ofFile(
  path: unknown,
  pointer: string,
  read: (path: string) => Parsed<unknown>,
): Finding[] {
  if (typeof path !== 'string' || path === '') return [];
  const found = read(path);
  return found.ok ? [] : [about(pointer, path, found.reason)];
}

function about(pointer: string, value: unknown, reason: string): Finding {
  const message = `${pointerPath(pointer)} is ${show(value)}: ${reason}`;
  return { pointer, at: 'value', message, absence: false };
}

function version(value: unknown): TlsVersionName | undefined {
  const text = String(value);
  return text === '1.2' || text === '1.3' ? text : undefined;
}

/** A path, if it is one. */
function text(value: unknown, key: string): string | undefined {
  const found = property(value, key);
  return typeof found === 'string' && found !== '' ? found : undefined;
}
