import { NativeMemory } from '../../splice/index.js';

/** What is said in one go, where a system call can read it. */
export type Message = NativeMemory;

/** @param text one byte for each character */
export function message(text: string): Message {
  return NativeMemory.copyOf(Buffer.from(text, 'latin1'));
}
