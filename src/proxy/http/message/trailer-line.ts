import { COLON, CR } from './characters.js';
import { mixName, NAME_SEED, TrailerNames } from './trailer-names.js';

/** A line of trailers as it comes, byte by byte: whether it is one of some names. */
export class TrailerLine {
  names = TrailerNames.usual;
  /** It is, as far as it has come. */
  isNamed = false;
  /** Bytes of its name may follow. */
  private isInName = false;
  private hash = NAME_SEED;

  /** What has come may still turn out to be one. */
  get isUndecided(): boolean {
    return this.isInName && !this.isNamed;
  }

  /** @param byte the first of the line; it is {@link take}n next. The empty line has no name */
  begin(byte: number): void {
    this.hash = NAME_SEED;
    this.isInName = byte !== CR;
    this.isNamed = this.isInName && this.names.isBeginning(NAME_SEED);
  }

  take(byte: number): void {
    if (!this.isInName) return;
    if (byte === COLON) {
      this.isInName = false;
      if (this.names.has(this.hash)) this.isNamed = true;
      return;
    }
    this.hash = mixName(this.hash, byte);
    if (this.names.isBeginning(this.hash)) this.isNamed = true;
  }
}
