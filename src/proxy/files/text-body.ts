import { NativeMemory, Outcome, type Transport } from '../../splice/index.js';
import type { PathTaken } from '../access-line.js';
import type { BodySource } from '../http/body-source.js';
import { RelayResult } from '../http/relay-result.js';

/** A body that is there as a whole: a listing. */
export class TextBody implements BodySource {
  bytes = 0;
  readonly path: PathTaken = 'copy';
  private memory: NativeMemory | undefined;

  constructor(private readonly text: Buffer) {}

  get isPending(): boolean {
    return this.bytes < this.text.length;
  }

  fill(memory: NativeMemory, start: number): number {
    if (memory.byteLength - start < this.text.length) return 0;
    this.bytes = this.text.copy(memory.bytes, start);
    return this.bytes;
  }

  run(client: Transport): RelayResult {
    const { text } = this;
    while (this.bytes < text.length) {
      if (!client.writable) return RelayResult.Waiting;
      if (this.memory === undefined) {
        this.memory = new NativeMemory(text.length);
        text.copy(this.memory.bytes);
      }
      const sent = client.write(this.memory.address + this.bytes, text.length - this.bytes);
      if (sent > 0) this.bytes += sent;
      else return sent === Outcome.Blocked ? RelayResult.Waiting : RelayResult.SinkFailed;
    }
    return RelayResult.Ended;
  }

  release(): void {
    this.memory = undefined;
  }
}
