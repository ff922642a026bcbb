// nginx with the stream module, or as a reverse proxy for HTTP; one worker.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { isListening, loopback } from '../loopback.js';
import { type Child, firstLine, startUntil } from '../process.js';
import {
  type Availability,
  type FileServing,
  type Forward,
  type HttpForward,
  hopsOf,
  type Peer,
  startTimeoutMs,
  type Termination,
  tlsTerms,
} from './peer.js';

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

function configuration(forward: Forward): string {
  const { listenPort: firstPort, directory, tls } = forward;
  const servers = hopsOf(forward).map(
    ({ listenPort, upstreamPort }) => `  server {
    listen ${loopback}:${listenPort} backlog=4096${tls ? ' ssl' : ''};
${tlsDirectives(tls)}    proxy_pass ${loopback}:${upstreamPort};
    proxy_timeout 1h;
    tcp_nodelay on;
  }
`,
  );
  return `${existsSync(streamModule) ? `load_module ${streamModule};` : ''}
daemon off;
worker_processes 1;
pid ${directory}/nginx-${firstPort}.pid;
error_log stderr crit;

events { worker_connections 20000; }

stream {
  access_log off;
${servers.join('')}}
`;
}

async function startHttp(forward: HttpForward): Promise<Child> {
  const prefix = `${forward.directory}/nginx-${forward.listenPort}`;
  mkdirSync(prefix, { recursive: true });
  writeFileSync(`${prefix}/nginx.conf`, httpConfiguration(forward, prefix));
  return startUntil(
    () => isListening(forward.listenPort),
    { program: 'nginx', args: ['-e', 'stderr', '-c', `${prefix}/nginx.conf`], cpus: forward.cpus },
    startTimeoutMs,
  );
}

/** As many fields as Headgate has, of those that nginx knows. */
const jsonFormat = `  log_format json escape=json '{"time":"$msec","listener":"$server_name",'
    '"client":"$remote_addr","request_id":"$request_id","method":"$request_method","host":"$host",'
    '"target":"$request_uri","version":"$server_protocol","status":$status,"upstream_status":"$upstream_status",'
    '"upstream":"$proxy_host","endpoint":"$upstream_addr","bytes_up":$request_length,"bytes_down":$bytes_sent,'
    '"duration_s":$request_time,"ttfb_s":"$upstream_header_time","connect_s":"$upstream_connect_time",'
    '"user_agent":"$http_user_agent","referer":"$http_referer"}';`;

/** Nothing goes to disk but what is logged, bodies are passed on as they come, and connections to the upstream are kept. */
function httpConfiguration(
  { listenPort, upstreamPort, routes, tls, accessLog }: HttpForward,
  prefix: string,
): string {
  const locations = Array.from(
    { length: routes },
    (_, index) => `    location /service-${index}/ { proxy_pass http://origin; }\n`,
  );
  return `daemon off;
worker_processes 1;
pid ${prefix}/nginx.pid;
error_log stderr crit;

events { worker_connections 20000; }

http {
${jsonFormat}
  access_log ${accessLog === undefined ? 'off' : `${accessLog.file} ${accessLog.format}`};
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
${temporaryPaths(prefix)}
  client_max_body_size 0;
  proxy_request_buffering off;
  proxy_max_temp_file_size 0;
  proxy_buffers 16 64k;
  proxy_busy_buffers_size 256k;
  proxy_http_version 1.1;
  map $http_upgrade $connection_value { default upgrade; "" ""; }
  proxy_set_header Connection $connection_value;
  proxy_set_header Upgrade $http_upgrade;
  proxy_set_header Host $host;

  upstream origin {
    server ${loopback}:${upstreamPort};
    keepalive 1000;
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
  }

  server {
    listen ${loopback}:${listenPort} backlog=4096${tls ? ' ssl' : ''};
${tlsDirectives(tls)}    location / { proxy_pass http://origin; }
${locations.join('')}  }
}
`;
}

/** Files stay open as long as ours do. */
async function startFiles({ listenPort, root, directory, cpus, tls }: FileServing): Promise<Child> {
  const prefix = `${directory}/nginx-files-${listenPort}`;
  mkdirSync(prefix, { recursive: true });
  writeFileSync(
    `${prefix}/nginx.conf`,
    `daemon off;
worker_processes 1;
pid ${prefix}/nginx.pid;
error_log stderr crit;
# As the user who made the directory, or nobody could read the files.
${process.getuid?.() === 0 ? 'user root;' : ''}

events { worker_connections 20000; }

http {
  access_log off;
  keepalive_requests 1000000000;
  keepalive_timeout 1h;
${temporaryPaths(prefix)}
  sendfile on;
  sendfile_max_chunk 512k;
  tcp_nopush on;
  open_file_cache max=1024;
  open_file_cache_valid 1s;

  server {
    listen ${loopback}:${listenPort} backlog=4096${tls ? ' ssl' : ''};
${tlsDirectives(tls)}    root ${root};
  }
}
`,
  );
  return startUntil(
    () => isListening(listenPort),
    { program: 'nginx', args: ['-e', 'stderr', '-c', `${prefix}/nginx.conf`], cpus },
    startTimeoutMs,
  );
}

/** They are never written to, but nginx makes them, and only root may at their default place. */
function temporaryPaths(prefix: string): string {
  return `  client_body_temp_path ${prefix}/client-body;
  proxy_temp_path ${prefix}/proxy;
  fastcgi_temp_path ${prefix}/fastcgi;
  uwsgi_temp_path ${prefix}/uwsgi;
  scgi_temp_path ${prefix}/scgi;
`;
}

/** No session cache: sessions are in tickets, as they are everywhere here. */
function tlsDirectives(tls: Termination | undefined): string {
  if (tls === undefined) return '';
  const { ciphers, ciphersuites, curves } = tlsTerms;
  return `    ssl_certificate ${tls.certificate};
    ssl_certificate_key ${tls.key};
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_ciphers ${ciphers};
    ssl_conf_command Ciphersuites ${ciphersuites};
    ssl_ecdh_curve ${curves};
    ssl_session_tickets on;
    ${tls.kernel ? 'ssl_conf_command Options KTLS;' : ''}
`;
}

export const nginx: Peer = { name: 'nginx', availability, startTcp, startHttp, startFiles };
