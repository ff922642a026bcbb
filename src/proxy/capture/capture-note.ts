import { formatAddress, type Kernel, localAddress, SystemCallError } from '../../splice/index.js';
import { peerText } from '../session.js';
import type { TlsSide } from '../tls-side.js';
import { describeTls } from '../tls-status.js';
import type { CaptureSnapshot } from './capture-terms.js';

/** What the record of a flow says of it from the beginning, in the words of the file. */
export interface CaptureNote {
  /** Names its files: made of numbers of ours, never of what a client said. */
  readonly id: string;
  readonly listener: string;
  readonly protocol: 'tcp' | 'http';
  readonly client: string;
  /** The sender of a PROXY header, which said who the client is. */
  readonly via?: string | undefined;
  /** The address the client connected to. */
  readonly local: string;
  readonly upstream?: string | undefined;
  readonly endpoint?: string | undefined;
  readonly server_name?: string | undefined;
  readonly alpn?: string | undefined;
  /** Version and cipher. */
  readonly tls?: string | undefined;
}

/** What a flow and an HTTP connection have in common. */
export interface CaptureSubject {
  readonly kernel: Kernel;
  readonly uniqueName: string;
  readonly sequence: number;
  readonly listener: string;
  readonly protocol: CaptureNote['protocol'];
  /** Empty where nobody has asked yet. */
  readonly clientText: string;
  readonly fd: number;
  readonly tls: TlsSide | undefined;
  readonly via?: string | undefined;
  readonly upstream?: string | undefined;
  readonly endpoint?: string | undefined;
  /** Of a ClientHello that was passed on. */
  readonly serverName?: string | undefined;
}

export function captureNote(subject: CaptureSubject): CaptureNote {
  const { kernel, fd, tls } = subject;
  const session = tls?.session;
  const spoken = describeTls(tls);
  return {
    id: `${subject.uniqueName}-${subject.sequence}`,
    listener: subject.listener,
    protocol: subject.protocol,
    client: subject.clientText === '' ? peerText(kernel, fd) : subject.clientText,
    via: subject.via,
    local: localText(kernel, fd),
    upstream: subject.upstream,
    endpoint: subject.endpoint,
    server_name: session?.serverName ?? subject.serverName,
    alpn: session?.alpn,
    tls: spoken && `${spoken.version} ${spoken.cipher}`,
  };
}

/** As the first line of a record has it, but for what the capture thread adds. */
export function noteText(note: CaptureNote, { client, upstream }: CaptureSnapshot): string {
  const directions = client && upstream ? 'both' : client ? 'client' : 'upstream';
  return JSON.stringify({ ...note, directions, start: new Date().toISOString() });
}

function localText(kernel: Kernel, fd: number): string {
  try {
    return formatAddress(localAddress(kernel, fd));
  } catch (error) {
    if (error instanceof SystemCallError) return '';
    throw error;
  }
}
