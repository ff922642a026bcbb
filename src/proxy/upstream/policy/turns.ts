/**
 * Smooth weighted turns, nginx's algorithm (ngx_stream_upstream_round_robin.c): everybody's credit
 * grows by their weight, who has most takes the turn and pays the sum of all weights. With weights
 * 5, 1, 1 the turns are a a b a c a a, not a a a a a b c. Those who take part may change each time.
 */
export class Turns {
  private readonly credits: Float64Array;
  private best = -1;
  private total = 0;

  /**
   * @param count how many there are
   * @param first who begins among equals, ≥ 0, taken modulo `count`
   */
  constructor(count: number, first: number) {
    this.credits = new Float64Array(count);
    // Less than one thousandth of a weight of 1: it breaks ties, and no more.
    for (let step = 0; step < count; step++) this.credits[(first + step) % count] = -step / count;
  }

  /** Lets one take part in the next turn. @param weight > 0 */
  offer(index: number, weight: number): void {
    const credit = this.credits[index]! + weight;
    this.credits[index] = credit;
    this.total += weight;
    if (this.best < 0 || credit > this.credits[this.best]!) this.best = index;
  }

  /** Ends the turn. @returns who has it, −1 when nobody took part */
  take(): number {
    const best = this.best;
    if (best >= 0) this.credits[best]! -= this.total;
    this.best = -1;
    this.total = 0;
    return best;
  }
}
