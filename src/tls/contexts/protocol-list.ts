import { NativeMemory } from '../../splice/index.js';
import { TlsError } from '../openssl/index.js';

/**
 * `ProtocolNameList` (RFC 7301 §3.1) without its length, as OpenSSL takes and compares it.
 * @throws TlsError when a name is empty or too long
 */
export function protocolList(names: readonly string[]): NativeMemory {
  const bytes = names.flatMap((name) => {
    const encoded = Buffer.from(name);
    if (encoded.length === 0 || encoded.length > 255) {
      throw new TlsError(`the application protocol ${name}`, 'a name has 1 to 255 bytes');
    }
    return [encoded.length, ...encoded];
  });
  return NativeMemory.copyOf(Uint8Array.from(bytes));
}
