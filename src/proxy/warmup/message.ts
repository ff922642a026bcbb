import { NativeMemory } from '../../splice/index.js';

/** What is said in one go, where a system call can read it. */
export type Message = NativeMemory;

/** @param text one byte for each character */
export function message(text: string): Message {
  const bytes = Buffer.from(text, 'latin1');
  const memory = new NativeMemory(bytes.length);
  bytes.copy(memory.bytes);
  return memory;
}
