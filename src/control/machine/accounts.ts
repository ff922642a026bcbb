import { readFileSync } from 'node:fs';
import type { Config } from '../../config/index.js';
import type { Check } from './diagnosis.js';

/** Somebody a process can be: passwd(5). */
export interface Account {
  /** `undefined` for a number that no name stands for. */
  readonly name: string | undefined;
  readonly uid: number;
  /** Its own group; `undefined` for a number that no name stands for. */
  readonly gid: number | undefined;
}

/** There is no such user or group on this machine; the message is one line for people. */
export class UnknownAccount extends Error {}

/**
 * A user by name or number. Names are those of `/etc/passwd`: accounts of a directory service are
 * given by number.
 *
 * @throws UnknownAccount
 */
export function findUser(text: string): Account {
  const lines = entries('/etc/passwd');
  const found = lines.find(([name, , uid]) => name === text || uid === text);
  if (found !== undefined) {
    return { name: found[0]!, uid: Number(found[2]), gid: Number(found[3]) };
  }
  if (/^\d+$/.test(text)) return { name: undefined, uid: Number(text), gid: undefined };
  throw new UnknownAccount(`there is no user "${text}" in /etc/passwd`);
}

/** @throws UnknownAccount */
export function userId(text: string): number {
  return findUser(text).uid;
}

/** A group by name or number, of `/etc/group`. @throws UnknownAccount */
export function groupId(text: string): number {
  if (/^\d+$/.test(text)) return Number(text);
  const found = entries('/etc/group').find(([name]) => name === text);
  if (found === undefined) throw new UnknownAccount(`there is no group "${text}" in /etc/group`);
  return Number(found[2]);
}

/** Users and groups of a configuration that are not on this machine, with which it would not start here. */
export function accountChecks({ user, group, listeners }: Config): Check[] {
  const sockets = listeners.flatMap(({ name, bind, socket }) => {
    const isUsed = bind.some((address) => address.family === 'unix');
    return isUsed ? [{ at: `listeners.${name}.socket.`, ...socket }] : [];
  });
  return [
    ...missing('user', user, userId),
    ...missing('group', group, groupId),
    ...sockets.flatMap(({ at, owner, group }) => [
      ...missing(`${at}owner`, owner, userId),
      ...missing(`${at}group`, group, groupId),
    ]),
  ];
}

function missing(name: string, account: string | null, idOf: (text: string) => number): Check[] {
  if (account === null) return [];
  try {
    idOf(account);
    return [];
  } catch (error) {
    return [{ name, state: 'low', detail: (error as Error).message }];
  }
}

function entries(path: string): string[][] {
  return readFileSync(path, 'utf8')
    .split('\n')
    .map((line) => line.split(':'));
}
