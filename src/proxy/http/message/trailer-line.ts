import { COLON, CR } from './characters.js';
import { TrailerName } from './trailer-name.js';
import type { TrailerNames } from './trailer-names.js';

/** A line of trailers as it comes, byte by byte: whether it is one of some names. */
export class TrailerLine {
  /** It is, as far as it has come. */
  isNamed = false;
  /** Bytes of its name may follow. */
  private isInName = false;
  private readonly name = new TrailerName();

  set names(names: TrailerNames) {
    this.name.names = names;
  }

  /** What has come may still turn out to be one. */
  get isUndecided(): boolean {
    return this.isInName && !this.isNamed;
  }

  /** @param byte the first of the line; it is {@link take}n next. The empty line has no name */
  begin(byte: number): void {
    this.name.begin();
    this.isInName = byte !== CR;
    this.isNamed = this.isInName && this.name.isDecided;
  }

  take(byte: number): void {
    if (!this.isInName) return;
    if (byte === COLON) {
      this.isInName = false;
      this.isNamed = this.name.isNamed;
      return;
    }
    this.name.take(byte);
    this.isNamed = this.name.isDecided;
  }
}
