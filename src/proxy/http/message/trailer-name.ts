import { mixName, NAME_SEED, TrailerNames } from './trailer-names.js';

/** The name of a trailer field as it comes, byte by byte: whether it is one of some names. */
export class TrailerName {
  names = TrailerNames.usual;
  /** It is, whatever follows. */
  isDecided = false;
  private hash = NAME_SEED;

  begin(): void {
    this.hash = NAME_SEED;
    this.isDecided = this.names.isBeginning(NAME_SEED);
  }

  take(byte: number): void {
    this.hash = mixName(this.hash, byte);
    if (this.names.isBeginning(this.hash)) this.isDecided = true;
  }

  /** It is one of them, if it ends here. */
  get isNamed(): boolean {
    return this.isDecided || this.names.has(this.hash);
  }
}
