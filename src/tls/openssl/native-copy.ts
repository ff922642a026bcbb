import { NativeMemory } from '../../splice/index.js';

/** The bytes where OpenSSL can read them. */
export function nativeCopy(bytes: Uint8Array): NativeMemory {
  const memory = new NativeMemory(bytes.length);
  memory.bytes.set(bytes);
  return memory;
}
