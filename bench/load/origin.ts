// The web server behind the proxies when wrk is the load: nginx, one worker, a three-byte answer from memory.
import { mkdirSync, writeFileSync } from 'node:fs';
import { isListening, loopback } from '../loopback.js';
import { type Child, startUntil } from '../process.js';

/** Starts it on `port`. Without `keepAlive` it closes each connection after its answer. */
export async function startOrigin(options: {
  port: number;
  keepAlive: boolean;
  directory: string;
  cpus: string | undefined;
}): Promise<Child> {
  const { port, cpus } = options;
  const prefix = `${options.directory}/origin-${port}`;
  mkdirSync(prefix);
  writeFileSync(`${prefix}/nginx.conf`, configuration(port, options.keepAlive, prefix));
  const args = ['-e', 'stderr', '-c', `${prefix}/nginx.conf`];
  return startUntil(() => isListening(port), { program: 'nginx', args, cpus }, 5_000);
}

function configuration(port: number, keepAlive: boolean, prefix: string): string {
  // The temporary paths are never written to, but nginx creates them, and only root may at their default place.
  return `daemon off;
worker_processes 1;
pid ${prefix}/nginx.pid;
error_log stderr crit;

events { worker_connections 16000; }

http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout ${keepAlive ? '1h' : '0'};
  client_body_temp_path ${prefix}/client-body;
  proxy_temp_path ${prefix}/proxy;
  fastcgi_temp_path ${prefix}/fastcgi;
  uwsgi_temp_path ${prefix}/uwsgi;
  scgi_temp_path ${prefix}/scgi;

  server {
    listen ${loopback}:${port} backlog=4096;
    location / { return 200 "ok\\n"; }
  }
}
`;
}
