import { NativeMemory, Outcome, PumpSlot, type Transport } from '../../splice/index.js';
import type { Counters } from '../counters.js';
import type { PathTaken } from '../flow/index.js';
import type { BodySource } from '../http/exchange/index.js';
import { RelayResult } from '../http/exchange/index.js';

/** A body that is there as a whole: a listing. */
export class TextBody implements BodySource {
  bytes = 0;
  private memory: NativeMemory | undefined;

  /** @param isSecure the bytes pass OpenSSL */
  constructor(
    private readonly text: Buffer,
    private readonly counters: Counters,
    private readonly isSecure: boolean,
  ) {}

  get path(): PathTaken {
    return this.isSecure ? 'userland_tls' : 'copy';
  }

  get isPending(): boolean {
    return this.bytes < this.text.length;
  }

  fill(memory: NativeMemory, start: number): number {
    if (memory.end - start < this.text.length) return 0;
    this.bytes = this.text.copy(memory.bytes, start);
    return this.bytes;
  }

  run(client: Transport): RelayResult {
    const { text } = this;
    const meter = this.isSecure ? this.counters.secureDown : this.counters.down;
    while (this.bytes < text.length) {
      if (!client.writable) return RelayResult.Waiting;
      if (this.memory === undefined) {
        this.memory = new NativeMemory(text.length);
        text.copy(this.memory.bytes);
      }
      const sent = client.write(this.memory.address + this.bytes, text.length - this.bytes);
      if (sent <= 0) return sent === Outcome.Blocked ? RelayResult.Waiting : RelayResult.SinkFailed;
      this.bytes += sent;
      meter[PumpSlot.CopyBytes]! += sent;
      meter[PumpSlot.CopyOperations]!++;
    }
    return RelayResult.Ended;
  }

  release(): void {
    this.memory = undefined;
  }
}
