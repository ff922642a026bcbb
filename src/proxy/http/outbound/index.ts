/**
 * Where clients say whom they want (a forward proxy): which of it is allowed (outbound), names that only the
 * control thread can look up (outbound names, target lookup), and upstreams made for one request each.
 */
export { Outbound, type OutboundName } from './outbound.js';
export { OutboundUpstreams } from './outbound-upstreams.js';
export { TargetLookup } from './target-lookup.js';
