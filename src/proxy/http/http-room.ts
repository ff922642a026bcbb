import { FilesRoom } from '../files/index.js';
import type { WorkerRoom } from '../room.js';
import { Exchange } from './exchange/index.js';
import { HttpBuffers } from './http-buffers.js';
import {
  ErrorResponses,
  type HeadLimits,
  HeadWriter,
  RequestHead,
  ResponseHead,
} from './message/index.js';
import { OutboundUpstreams } from './outbound/index.js';
import { UpstreamPool } from './pool/index.js';
import { RequestIds } from './rewriting/index.js';

/** Exchanges kept while nobody needs them. */
const EXCHANGES_IDLE_MAX = 1024;

/** What all HTTP connections of one worker share. */
export class HttpRoom {
  /** Heads as they were parsed last: they mean something until the next one. */
  readonly request: RequestHead;
  readonly response: ResponseHead;
  /** The same for responses that nobody reads. */
  readonly droppedResponse: ResponseHead;
  readonly buffers: HttpBuffers;
  readonly upstreams: UpstreamPool;
  readonly files: FilesRoom;
  readonly errors = new ErrorResponses();
  readonly ids = new RequestIds();
  /** For heads, one after the other. */
  readonly writer = new HeadWriter();
  private madeOutbound: OutboundUpstreams | undefined;
  private readonly exchanges: Exchange[] = [];

  constructor(
    readonly worker: WorkerRoom,
    limits: HeadLimits,
  ) {
    this.request = new RequestHead(limits);
    this.response = new ResponseHead(limits);
    this.droppedResponse = new ResponseHead(limits);
    this.buffers = HttpBuffers.take(limits.headBytes);
    this.upstreams = new UpstreamPool(worker.clock);
    this.files = new FilesRoom(worker);
  }

  /** Made for the first client that names an address. */
  get outbound(): OutboundUpstreams {
    this.madeOutbound ??= new OutboundUpstreams(this.worker);
    return this.madeOutbound;
  }

  /** An exchange that nobody uses. */
  takeExchange(): Exchange {
    return this.exchanges.pop() ?? new Exchange(this);
  }

  giveExchange(exchange: Exchange): void {
    if (this.exchanges.length < EXCHANGES_IDLE_MAX) this.exchanges.push(exchange);
  }
}
