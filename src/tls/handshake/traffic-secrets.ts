import { NativeMemory } from '../../splice/index.js';
import type { OpenSsl } from '../openssl/index.js';

/** A TLS 1.2 master secret and the longest TLS 1.3 secret (SHA-384): 48 bytes. */
const SECRET_BYTES_MAX = 48;
const RANDOM_BYTES = 32;
/** `LABEL client-random secret`, in hexadecimal digits, spaces and a final NUL. */
const LINE_BYTES_MAX = 256;
/** Blocks kept for the handshakes to come. */
const IDLE_MAX = 256;

const SPACE = 0x20;

/** Which secret a line of the key log has (draft-ietf-tls-keylogfile), with its place in the block. */
const labels = [
  { text: Buffer.from('CLIENT_TRAFFIC_SECRET_0 '), slot: 0 },
  { text: Buffer.from('SERVER_TRAFFIC_SECRET_0 '), slot: 1 },
  { text: Buffer.from('CLIENT_RANDOM '), slot: 2 },
] as const;

const line = new NativeMemory(LINE_BYTES_MAX);
const idle: NativeMemory[] = [];

/**
 * The secrets of one connection from which the kernel's keys are made, caught while OpenSSL shakes
 * hands. They lie outside V8's heap, where the garbage collector makes no copies, and are overwritten
 * by {@link release}. The views are into memory that the next handshake uses: nothing may keep them.
 */
export class TrafficSecrets {
  private memory: NativeMemory | undefined = idle.pop() ?? new NativeMemory(3 * SECRET_BYTES_MAX);
  private readonly lengths = [0, 0, 0];

  /** TLS 1.3 `client_application_traffic_secret_0` (RFC 8446 §7.1); empty until it is known. */
  get client(): Uint8Array {
    return this.view(0);
  }

  /** TLS 1.3 `server_application_traffic_secret_0`. */
  get server(): Uint8Array {
    return this.view(1);
  }

  /** TLS 1.2 `master_secret` (RFC 5246 §8.1), 48 bytes. */
  get master(): Uint8Array {
    return this.view(2);
  }

  /**
   * Takes a secret from a line of the key log; lines with other secrets are passed over.
   * @param address of the line, in OpenSSL's memory
   */
  capture(openssl: OpenSsl, address: number): void {
    const length = openssl.OPENSSL_strlcpy(line.address, address, LINE_BYTES_MAX);
    if (length < LINE_BYTES_MAX) this.readLine(length);
    line.bytes.fill(0, 0, Math.min(length, LINE_BYTES_MAX));
  }

  /** Overwrites the secrets. To be called once, as early as they are not needed any more. */
  release(): void {
    const { memory } = this;
    if (memory === undefined) return;
    this.memory = undefined;
    this.lengths.fill(0);
    memory.bytes.fill(0);
    if (idle.length < IDLE_MAX) idle.push(memory);
  }

  private readLine(length: number): void {
    const { memory } = this;
    const label = labels.find(
      ({ text }) => line.bytes.compare(text, 0, text.length, 0, text.length) === 0,
    );
    if (label === undefined || memory === undefined) return;
    const randomAt = label.text.length;
    const secretAt = randomAt + 2 * RANDOM_BYTES + 1;
    const bytes = (length - secretAt) / 2;
    if (line.bytes[secretAt - 1] !== SPACE || bytes > SECRET_BYTES_MAX) return;
    const at = label.slot * SECRET_BYTES_MAX;
    for (let index = 0; index < bytes; index++) {
      const high = digit(line.bytes[secretAt + 2 * index]!);
      memory.bytes[at + index] = (high << 4) | digit(line.bytes[secretAt + 2 * index + 1]!);
    }
    this.lengths[label.slot] = bytes;
  }

  private view(slot: number): Uint8Array {
    const at = slot * SECRET_BYTES_MAX;
    const length = this.lengths[slot]!;
    return this.memory?.bytes.subarray(at, at + length) ?? new Uint8Array(0);
  }
}

/** The value of a hexadecimal digit in either case; OpenSSL writes no others. */
function digit(code: number): number {
  return (code & 0xf) + (code > 0x39 ? 9 : 0);
}
