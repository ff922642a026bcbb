import { mix } from './hash.js';
import type { RandomSource } from './policy.js';

/** A sequence of numbers in [0, 1) that depends on nothing but the seed (Weyl steps, mixed). */
export function seededRandom(seed: number): RandomSource {
  let state = mix(seed);
  return () => {
    state = (state + 0x9e3779b9) | 0;
    return mix(state) / 2 ** 32;
  };
}
