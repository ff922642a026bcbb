import Negotiator from 'negotiator';

/** How a file may be there already, as the content coding is called (RFC 9110 §8.4.1) and as its name ends. */
export const suffixes = { br: '.br', zstd: '.zst', gzip: '.gz' } as const;
export type Encoding = keyof typeof suffixes;

interface Preferring {
  encodings(available: string[], options: { preferred: string[] }): string[];
}

const IDENTITY = 'identity';
/** Browsers send a handful of values. */
const KNOWN_MAX = 256;
/** A longer one is not looked at. */
const CHARACTERS_MAX = 512;

/**
 * Which of the encodings that are there a client gets, by its Accept-Encoding: the one it likes best, and among
 * those it likes alike the first in the order of the configuration. Answers are kept.
 */
export class EncodingChoice {
  private readonly known = new Map<string, Encoding | undefined>();

  /** @param preferred every encoding, in the order of preference */
  constructor(private readonly preferred: readonly Encoding[]) {}

  /**
   * @param accepted value of Accept-Encoding; undefined without one
   * @param available bit i: the encoding at i of the order of preference is there
   * @returns nothing for the file as it is: also where the client accepts none (RFC 9110 §12.5.3 leaves it open)
   */
  choose(accepted: string | undefined, available: number): Encoding | undefined {
    if (accepted === undefined || accepted.length > CHARACTERS_MAX) return undefined;
    const key = `${available} ${accepted}`;
    if (this.known.has(key)) return this.known.get(key);
    const there = this.preferred.filter((_, index) => (available >>> index) & 1);
    const negotiator = new Negotiator({ headers: { 'accept-encoding': accepted } });
    // The types that are published for this library do not know of its second parameter yet.
    const chosen = (negotiator as Preferring).encodings([...there, IDENTITY], { preferred: there });
    const encoding = there.find((one) => one === chosen[0]);
    if (this.known.size === KNOWN_MAX) this.known.clear();
    this.known.set(key, encoding);
    return encoding;
  }
}
