// The proxies compared: one module each behind one interface, all with one worker and their best fair settings.
import { haproxy, haproxySplice } from './haproxy.js';
import { headgate } from './headgate.js';
import { httpProxy } from './http-proxy.js';
import { nginx } from './nginx.js';
import { nodePipe } from './node-pipe.js';
import type { Peer } from './peer.js';

/** In the order of the tables. */
export const tcpPeers: readonly Peer[] = [headgate, haproxy, haproxySplice, nginx, nodePipe];
/** What terminates TLS. */
export const tlsPeers: readonly Peer[] = [headgate, haproxy, nginx];
/** What serves files. */
export const filePeers: readonly Peer[] = [headgate, nginx];
export const httpPeers: readonly Peer[] = [headgate, haproxy, nginx, httpProxy];
/** The peer the targets are stated for. */
export const subject = headgate.name;
