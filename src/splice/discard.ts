import { NativeMemory } from './memory.js';
import type { Transport } from './transport.js';

/** Written over and over, and read by nobody. */
let trash: NativeMemory | undefined;
const TRASH_BYTES = 64 * 1024;

/** Drops bytes of a transport that cannot do it without reading them. @returns as `Transport.discard` */
export function readAndDrop(transport: Transport, length: number): number {
  trash ??= new NativeMemory(TRASH_BYTES);
  return transport.read(trash.address, Math.min(length, trash.byteLength));
}
