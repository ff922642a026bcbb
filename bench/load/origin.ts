// The web server behind the proxies when wrk is the load: nginx, one worker, a three-byte answer from memory and files.
import { mkdirSync, truncateSync, writeFileSync } from 'node:fs';
import { isListening, loopback } from '../loopback.js';
import { type Child, startUntil } from '../process.js';

export interface OriginOptions {
  port: number;
  /** Without it, it closes each connection after its answer. */
  keepAlive: boolean;
  directory: string;
  cpus: string | undefined;
  /** Sizes of files to serve: `/file-SIZE` with a length, `/chunked/file-SIZE` in chunks of {@link chunkBytes}. */
  fileBytes?: readonly number[];
}

/** A part of what is sent in chunks. */
const chunkBytes = 256 * 1024;

/** Starts it on `port`. */
export async function startOrigin(options: OriginOptions): Promise<Child> {
  const { port, cpus, fileBytes = [] } = options;
  const prefix = `${options.directory}/origin-${port}`;
  mkdirSync(`${prefix}/chunked`, { recursive: true });
  for (const bytes of [...fileBytes, chunkBytes]) {
    // A hole: its zeros come from the page cache like any other bytes.
    writeFileSync(`${prefix}/file-${bytes}`, '');
    truncateSync(`${prefix}/file-${bytes}`, bytes);
  }
  for (const bytes of fileBytes) {
    const parts = `<!--# include virtual="/file-${chunkBytes}" -->`.repeat(bytes / chunkBytes);
    writeFileSync(`${prefix}/chunked/file-${bytes}`, parts);
  }
  writeFileSync(`${prefix}/nginx.conf`, configuration(port, options.keepAlive, prefix));
  const args = ['-e', 'stderr', '-c', `${prefix}/nginx.conf`];
  return startUntil(() => isListening(port), { program: 'nginx', args, cpus }, 5_000);
}

function configuration(port: number, keepAlive: boolean, prefix: string): string {
  // The temporary paths are never written to, but nginx creates them, and only root may at their default place.
  // A page of server-side includes has no length: each file it is made of is a chunk. The bytes themselves go by
  // sendfile; nginx looking through them for commands would take three times what a proxy does.
  return `daemon off;
worker_processes 1;
pid ${prefix}/nginx.pid;
error_log stderr crit;
# As the user who made the directory, or nobody could read the files.
${process.getuid?.() === 0 ? 'user root;' : ''}

events { worker_connections 16000; }

http {
  access_log off;
  sendfile on;
  tcp_nopush on;
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
    location /file- { root ${prefix}; }
    location /chunked/ {
      root ${prefix};
      ssi on;
      ssi_types *;
    }
  }
}
`;
}
