/** What a policy knows of an endpoint. */
export interface Candidate {
  /** What consistent hashing knows it by: the same in every worker, on every machine. */
  readonly identity: string;
  /** Its weight at full strength × 1000. */
  readonly fullWeight: number;
  /** Its weight now × 1000: less while it warms up, never 0 while it is available. */
  readonly weight: number;
  /** Its connections, over all workers. */
  readonly active: number;
  /** Healthy and not full. This decides alone; a policy asks for no other reason. */
  readonly isAvailable: boolean;
}

/**
 * How one worker picks endpoints of one tier of an upstream. Siblings: {@link RoundRobin},
 * {@link LeastConnections}, {@link RandomTwo}, {@link ConsistentHash}; one suite holds them all to
 * the same contract. Selecting allocates nothing: it happens for each connection.
 */
export interface Policy<Member extends Candidate> {
  /**
   * @param key what connections that belong together share, 32 bits; only hashing looks at it
   * @returns an available member, or nothing when there is none
   */
  select(key: number): Member | undefined;
}

/** Numbers in [0, 1) from a generator; a test hands in one with a known seed. */
export type RandomSource = () => number;
