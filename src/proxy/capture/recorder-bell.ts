const AWAKE = 0;
/** Back within milliseconds by itself. */
const NAPPING = 1;
/** Nothing was going on: the next entry is to be told. */
const SLEEPING = 2;

/**
 * Wakes the capture thread. While flows move it looks by itself every few milliseconds, so that a small message
 * costs the worker no system call; it is called only when much is waiting, or when it sleeps.
 */
export class RecorderBell {
  private readonly state: Int32Array;

  /** @param memory made by {@link createMemory}, shared by all lanes */
  constructor(memory: SharedArrayBuffer) {
    this.state = new Int32Array(memory);
  }

  static createMemory(): SharedArrayBuffer {
    return new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT);
  }

  /** Messages that were announced so far; wraps around. */
  get messages(): number {
    return Atomics.load(this.state, 1);
  }

  /** A message was posted: a port cannot be asked whether it has one. */
  announce(): void {
    Atomics.add(this.state, 1, 1);
    this.ring(true);
  }

  /** There is something. @param isPressing it should not wait for the end of a nap */
  ring(isPressing: boolean): void {
    const state = Atomics.load(this.state, 0);
    if (state === AWAKE || (state === NAPPING && !isPressing)) return;
    if (Atomics.exchange(this.state, 0, AWAKE) !== AWAKE) Atomics.notify(this.state, 0);
  }

  /** The capture thread: waits for much, or for `ms`. @param isCalm asked once more, after which a ring is heard */
  nap(ms: number, isCalm: () => boolean): void {
    this.wait(NAPPING, ms, isCalm);
  }

  /** The capture thread: waits for anything, or for `ms`. */
  sleep(ms: number, isCalm: () => boolean): void {
    this.wait(SLEEPING, ms, isCalm);
  }

  private wait(state: number, ms: number, isCalm: () => boolean): void {
    Atomics.store(this.state, 0, state);
    if (isCalm()) Atomics.wait(this.state, 0, state, ms);
    Atomics.store(this.state, 0, AWAKE);
  }
}
