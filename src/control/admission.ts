import type { ListenerConfig } from '../config/index.js';
import { type AdmissionSnapshot, SOURCE_LIMIT_BYTES } from '../proxy/index.js';

/** What all workers need to admit connections to a listener; `undefined` where everybody may connect. */
export function makeAdmission(listener: ListenerConfig): AdmissionSnapshot | undefined {
  const { allow, deny, limits } = listener;
  const { connectionsMax, connectionsPerSourceMax } = limits;
  const isOpen = allow.length === 0 && deny.length === 0;
  if (isOpen && connectionsMax === null && connectionsPerSourceMax === null) return undefined;
  return {
    allow,
    deny,
    connections: sharedLimit(connectionsMax, Int32Array.BYTES_PER_ELEMENT),
    connectionsPerSource: sharedLimit(connectionsPerSourceMax, SOURCE_LIMIT_BYTES),
  };
}

function sharedLimit(max: number | null, bytes: number): AdmissionSnapshot['connections'] {
  return max === null ? undefined : { max, shared: new SharedArrayBuffer(bytes) };
}
