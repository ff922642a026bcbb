// nginx with the stream module, one worker.
import { existsSync, writeFileSync } from 'node:fs';
import { isListening, loopback } from '../loopback.js';
import { type Child, firstLine, startUntil } from '../process.js';
import { type Availability, type Forward, type Peer, startTimeoutMs } from './peer.js';

/** Debian builds the stream module as a shared object; other builds have it compiled in. */
const streamModule = '/usr/lib/nginx/modules/ngx_stream_module.so';

async function availability(): Promise<Availability> {
  const line = await firstLine('nginx', '-v');
  if (line === null) return { available: false, reason: 'nginx is not installed' };
  return { available: true, version: /nginx\/(\S+)/.exec(line)?.[1] ?? line };
}

async function startTcp(forward: Forward): Promise<Child> {
  const file = `${forward.directory}/nginx-${forward.listenPort}.conf`;
  writeFileSync(file, configuration(forward));
  return startUntil(
    () => isListening(forward.listenPort),
    {
      program: 'nginx',
      args: ['-e', 'stderr', '-c', file],
      cpus: forward.cpus,
    },
    startTimeoutMs,
  );
}

function configuration({ listenPort, upstreamPort, directory }: Forward): string {
  return `${existsSync(streamModule) ? `load_module ${streamModule};` : ''}
daemon off;
worker_processes 1;
pid ${directory}/nginx-${listenPort}.pid;
error_log stderr crit;

events { worker_connections 20000; }

stream {
  access_log off;
  server {
    listen ${loopback}:${listenPort} backlog=4096;
    proxy_pass ${loopback}:${upstreamPort};
    proxy_timeout 1h;
    tcp_nodelay on;
  }
}
`;
}

export const nginx: Peer = { name: 'nginx', availability, startTcp };
