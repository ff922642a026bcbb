import { resolve } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { entries, keyPointer, pointerPath, property } from '../document/index.js';
import { type Finding, show } from '../validation/index.js';

/**
 * Finds listeners that capture to one directory with different ideas of what it may hold. The value may be invalid
 * otherwise.
 */
export function findCaptureMistakes(file: unknown): Finding[] {
  const first = new Map<string, { pointer: string; rotate: unknown }>();
  return entries(property(file, 'listeners')).flatMap(([name, listener]) =>
    ['tcp', 'http'].flatMap((kind): Finding[] => {
      const capture = property(property(listener, kind), 'capture');
      const directory = property(capture, 'directory');
      if (typeof directory !== 'string') return [];
      const pointer = `${keyPointer('/listeners', name)}/${kind}/capture`;
      const rotate = property(capture, 'rotate') ?? {};
      const rival = first.get(resolve(directory));
      if (rival === undefined) {
        first.set(resolve(directory), { pointer, rotate });
        return [];
      }
      if (isDeepStrictEqual(rival.rotate, rotate)) return [];
      const at = `${pointer}/directory`;
      const message = `${pointerPath(at)} is ${show(directory)}: ${pointerPath(rival.pointer)} has it with another "rotate", expected the same "rotate" or another directory`;
      return [{ pointer: at, at: 'value', message, absence: false }];
    }),
  );
}
