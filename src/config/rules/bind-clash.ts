import { entries, keyPointer, pointerPath, property } from '../document/index.js';
import { type Finding, show } from '../validation/index.js';
import { type Address, type BindAddress, isWildcard, parseBindAddress } from '../values/index.js';

interface Bind {
  pointer: string;
  spelling: string;
  address: BindAddress;
}

/**
 * Finds addresses that two listeners, or one of them and admin, or one twice, would bind. SO_REUSEPORT
 * would let them all bind, and the kernel would deal out the connections among them. A name of a socket
 * that is handed over is such an address, too: it stands for one socket. The value may be invalid otherwise.
 */
export function findBindClashes(file: unknown): Finding[] {
  const earlier = new Map<string, Bind[]>();
  return readBinds(file).flatMap((bind) => {
    const { address } = bind;
    const slot = 'port' in address ? String(address.port) : address.text;
    const rivals = earlier.get(slot) ?? [];
    const rival = rivals.find((other) => overlaps(other.address, address));
    earlier.set(slot, [...rivals, bind]);
    return rival ? [clash(bind, rival)] : [];
  });
}

function clash({ pointer, spelling, address }: Bind, rival: Bind): Finding {
  const how =
    address.text === rival.address.text
      ? 'already bound by'
      : `overlaps ${show(rival.spelling)} of`;
  const expected =
    address.family === 'inherited'
      ? 'another socket, by its name or address'
      : 'another address or port';
  const message = `${pointerPath(pointer)} is ${show(spelling)}: ${how} ${pointerPath(rival.pointer)}, expected ${expected}`;
  return { pointer, at: 'value', message, absence: false };
}

/** Whether a connection could come in at both. */
export function overlaps(one: BindAddress, other: BindAddress): boolean {
  if (one.text === other.text) return !('port' in one) || one.port !== 0;
  if (!('port' in one) || !('port' in other)) return false;
  if (one.port !== other.port || one.port === 0) return false;
  if (isDualStack(one) || isDualStack(other)) return true;
  return one.family === other.family && (isWildcard(one) || isWildcard(other));
}

function isDualStack(address: Address): boolean {
  return address.family === 'inet6' && address.dualStack;
}

function readBinds(file: unknown): Bind[] {
  const listeners = entries(property(file, 'listeners')).flatMap(([name, listener]) => {
    const bind = property(listener, 'bind');
    const pointer = keyPointer(keyPointer('/listeners', name), 'bind');
    return Array.isArray(bind)
      ? bind.flatMap((item, index) => readBind(item, keyPointer(pointer, index)))
      : readBind(bind, pointer);
  });
  return [...listeners, ...readBind(property(property(file, 'admin'), 'bind'), '/admin/bind')];
}

function readBind(spelling: unknown, pointer: string): Bind[] {
  if (typeof spelling !== 'string') return [];
  const parsed = parseBindAddress(spelling);
  return parsed.ok ? [{ pointer, spelling, address: parsed.value }] : [];
}
