import type { Kernel } from '../kernel.js';
import { type CallBatch, RECEIVE_FLAGS, SEND_FLAGS } from './call-batch.js';

/**
 * The same with a system call for each. It gains nothing; a test sees every call that is made, and injects its faults
 * into each.
 */
export class SerialBatch implements CallBatch {
  size = 0;
  private readonly calls: (() => number)[] = [];
  private readonly results: number[] = [];

  constructor(
    private readonly kernel: Kernel,
    readonly capacity: number,
    readonly worthFrom = 1,
  ) {}

  recv(fd: number, address: number, length: number): number {
    this.calls[this.size] = () => this.kernel.recv(fd, address, length, RECEIVE_FLAGS);
    return this.size++;
  }

  send(fd: number, address: number, length: number): number {
    this.calls[this.size] = () => this.kernel.send(fd, address, length, SEND_FLAGS);
    return this.size++;
  }

  closeSocket(fd: number): number {
    this.calls[this.size] = () => this.kernel.close(fd);
    return this.size++;
  }

  withdraw(call: number): void {
    this.calls[call] = () => 0;
  }

  run(): number {
    const { size } = this;
    this.size = 0;
    for (let call = 0; call < size; call++) this.results[call] = this.calls[call]!();
    return size;
  }

  resultOf(call: number): number {
    return this.results[call]!;
  }

  close(): void {}
}
