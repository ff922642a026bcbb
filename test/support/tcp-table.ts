// The kernel's table of TCP connections (/proc/net/tcp, proc(5)).
import { readFileSync } from 'node:fs';

let waiting: ((table: string) => void)[] = [];

/**
 * Whether the connection between these ports has left the table: it was reset. One that has been ended in order is
 * there for a minute at least, as TIME-WAIT. Takes milliseconds where there are thousands.
 */
export async function connectionIsGone(localPort: number, remotePort: number): Promise<boolean> {
  const table = await new Promise<string>((resolve) => {
    // Who asks in the same turn of the loop shares one reading.
    if (waiting.length === 0) setImmediate(answer);
    waiting.push(resolve);
  });
  const entry = new RegExp(`:${hex(localPort)} [0-9A-F]+:${hex(remotePort)} `);
  return !entry.test(table);
}

function hex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}

function answer(): void {
  const asking = waiting;
  waiting = [];
  const table = ['/proc/self/net/tcp', '/proc/self/net/tcp6'].map(readTable).join('');
  for (const resolve of asking) resolve(table);
}

function readTable(file: string): string {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return '';
  }
}
