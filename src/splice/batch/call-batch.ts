import { Socket } from '../constants.js';

/** Of the calls of a batch: none waits, and a dead connection is an answer. */
export const RECEIVE_FLAGS = Socket.MSG_DONTWAIT;
export const SEND_FLAGS = Socket.MSG_DONTWAIT | Socket.MSG_NOSIGNAL;

/**
 * Calls of recv(2), send(2) and close(2) on many sockets, asked for one by one and made together, in that order. A call is
 * known by its number in the batch, from 0. Until it has been made, memory and descriptor must stay as they are.
 */
export interface CallBatch {
  /** Calls asked for since the last {@link run}. */
  readonly size: number;
  readonly capacity: number;
  /** So many calls are cheaper together than one by one. */
  readonly worthFrom: number;
  /** @returns the call's number. The batch must have room for it */
  recv(fd: number, address: number, length: number): number;
  /** The same. */
  send(fd: number, address: number, length: number): number;
  /** The same, for a descriptor that nobody uses any more. */
  closeSocket(fd: number): number;
  /** A call that was asked for is not to be made. */
  withdraw(call: number): void;
  /** Makes all that were asked for. @returns how many, those that were withdrawn included */
  run(): number;
  /** What a call of the last run answered, to be asked for once: ≥ 0, or a negative error number. */
  resultOf(call: number): number;
  close(): void;
}
