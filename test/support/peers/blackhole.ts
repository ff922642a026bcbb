// An address that answers no SYN: a listening socket whose accept queue is full, until it is released.
// The listener lives in a worker thread that sleeps, because Node accepts whatever it can.
import net from 'node:net';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import type { Test } from 'tap';
import { sleep } from '../deadline.js';

export class Blackhole {
  readonly address: string;
  readonly #gate: Int32Array;

  private constructor(port: number, gate: Int32Array) {
    this.address = `127.0.0.1:${port}`;
    this.#gate = gate;
  }

  /** Opens one; it ends with `t`. */
  static async open(t: Test): Promise<Blackhole> {
    const gate = new Int32Array(new SharedArrayBuffer(4));
    const worker = new Worker(new URL(import.meta.url), { workerData: gate });
    t.teardown(() => worker.terminate());
    const port = await new Promise<number>((resolve) => worker.once('message', resolve));
    const fillers = await fill(port);
    t.teardown(() => {
      for (const filler of fillers) filler.destroy();
    });
    return new Blackhole(port, gate);
  }

  /** From now on it accepts and echoes; a SYN that was lost is sent again after 1 s, then 2 s later (tcp(7)). */
  release(): void {
    Atomics.store(this.#gate, 0, 1);
    Atomics.notify(this.#gate, 0);
  }
}

/** Connects until the kernel takes no more; those connections hold the queue. */
async function fill(port: number): Promise<net.Socket[]> {
  const fillers: net.Socket[] = [];
  for (let count = 0; count < 16; count++) {
    const socket = net.connect(port, '127.0.0.1').on('error', () => undefined);
    await Promise.race([sleep(150), new Promise((resolve) => socket.once('connect', resolve))]);
    if (socket.connecting) {
      socket.destroy();
      return fillers;
    }
    fillers.push(socket);
  }
  throw new Error('the accept queue does not fill');
}

function sleepThenEcho(gate: Int32Array): void {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  server.listen({ host: '127.0.0.1', port: 0, backlog: 1 }, () => {
    parentPort!.postMessage((server.address() as net.AddressInfo).port);
    Atomics.wait(gate, 0, 0);
    // listen(2) once more: with room for one, clients that come together get SYN cookies, and RST for their bytes.
    (server as unknown as { _handle: { listen(backlog: number): number } })._handle.listen(511);
  });
}

if (!isMainThread) sleepThenEcho(workerData as Int32Array);
