import { NativeMemory } from '../../splice/index.js';

/** What is said in one go, where a system call can read it. */
export type Line = NativeMemory;

/** @param text one byte for each character */
export function line(text: string): Line {
  const bytes = Buffer.from(text, 'latin1');
  const memory = new NativeMemory(bytes.length);
  bytes.copy(memory.bytes);
  return memory;
}
