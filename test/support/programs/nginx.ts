// nginx with a configuration of the test's own.
import { mkdirSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import type { Test } from 'tap';
import { findProgram } from '../machine/capability.js';
import { freePort } from '../peers/address.js';
import { Program } from './program.js';
import { temporaryDirectory } from './rig.js';

export interface Nginx {
  readonly port: number;
  /** For its files; there is room for others. */
  readonly directory: string;
}

/**
 * Starts one worker process and waits until it accepts; the teardown of `t` ends it.
 *
 * @param http what stands in `http { … }`, given the port to listen at and the directory
 */
export async function startNginx(
  t: Test,
  http: (port: number, directory: string) => string,
): Promise<Nginx> {
  const port = await freePort();
  const directory = temporaryDirectory(t);
  mkdirSync(`${directory}/tmp`);
  const temporary = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi']
    .map((name) => `${name}_temp_path ${directory}/tmp/${name};`)
    .join('\n  ');
  writeFileSync(
    `${directory}/nginx.conf`,
    `daemon off;
worker_processes 1;
pid ${directory}/nginx.pid;
error_log stderr crit;
${process.getuid?.() === 0 ? 'user root;' : ''}
events { worker_connections 100; }
http {
  ${temporary}
  ${http(port, directory)}
}
`,
  );
  Program.start(t, [findProgram('nginx')!, '-e', 'stderr', '-c', `${directory}/nginx.conf`]);
  while (!(await accepts(port))) await new Promise((resolve) => setTimeout(resolve, 20));
  return { port, directory };
}

function accepts(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(port, '127.0.0.1');
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
