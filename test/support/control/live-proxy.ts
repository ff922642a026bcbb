// A proxy in the test's own process: its echoing origin, and clients that say a word and hear it back.
import net from 'node:net';
import type { Test } from 'tap';
import type { Headgate } from '#src/index.js';
import { sleep } from '../deadline.js';
import { echo, Origin } from '../peers/origin.js';

/** Echoes; the teardown of `t` ends it. */
export async function echoOrigin(t: Test): Promise<Origin> {
  const origin = await Origin.listen('127.0.0.1:0', echo);
  t.teardown(() => origin.close());
  return origin;
}

/** A client; the teardown of `t` ends it. */
export function connect(t: Test, address: string): net.Socket {
  const [host, port] = address.split(':') as [string, string];
  const socket = net.connect({ host, port: Number(port) });
  socket.on('error', () => {});
  t.teardown(() => socket.destroy());
  return socket;
}

/** Says something and waits for the echo. @returns whether it came back */
export function says(socket: net.Socket, word: string): Promise<boolean> {
  if (socket.destroyed) return Promise.resolve(false);
  return new Promise((resolve) => {
    let heard = '';
    const onData = (data: Buffer): void => {
      heard += data.toString('latin1');
      if (heard.length >= word.length) done(heard === word);
    };
    const onEnd = (): void => done(false);
    const done = (result: boolean): void => {
      socket.off('data', onData).off('close', onEnd);
      resolve(result);
    };
    socket.on('data', onData).on('close', onEnd);
    socket.write(word);
  });
}

/** One connection, one word, closed in order. */
export async function exchange(t: Test, address: string): Promise<boolean> {
  const socket = connect(t, address);
  const isWell = await says(socket, 'hello');
  socket.destroy();
  return isWell;
}

/** The first one. */
export function addressOf(headgate: Headgate, listener: string): string {
  return headgate.addresses.find((one) => one.listener === listener)!.address;
}

/** Exchanges one after the other begin every 5 ms until it is ended. */
export class Load {
  private isOver = false;
  private readonly results: Promise<boolean>[] = [];
  private readonly loop: Promise<void>;

  /** @param exchange one connection; whether all went well */
  constructor(exchange: () => Promise<boolean>) {
    this.loop = this.run(exchange);
  }

  /** Connections begun. */
  get count(): number {
    return this.results.length;
  }

  /** @returns how many went wrong */
  async end(): Promise<number> {
    this.isOver = true;
    await this.loop;
    return (await Promise.all(this.results)).filter((isWell) => !isWell).length;
  }

  private async run(exchange: () => Promise<boolean>): Promise<void> {
    while (!this.isOver) {
      this.results.push(exchange());
      await sleep(5);
    }
  }
}
