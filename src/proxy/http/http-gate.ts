import type { HttpRoom } from './http-room.js';
import type { HttpService } from './http-service.js';

/**
 * What connections keep of the listener they came in by. Another configuration exchanges what is behind
 * it: the next request of an open connection goes by the new rules.
 */
export class HttpGate {
  /** The listener is gone, or speaks HTTP no more: connections end with their next answer. */
  isClosing = false;

  constructor(
    readonly room: HttpRoom,
    public service: HttpService,
  ) {}
}
