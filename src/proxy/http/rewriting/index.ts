/**
 * From a parsed head to the bytes that go out: requests as upstreams get them, responses as clients do,
 * and the answers that routes give by themselves. What can be made beforehand is made when a worker gets
 * its configuration, so that the usual request is two copies and a few bytes.
 */
export { DirectAnswer } from './direct-answer.js';
export { droppedNames } from './field-filter.js';
export { keptRequestId, maxForwards, type RequestContext } from './request-context.js';
export { RequestIds } from './request-ids.js';
export { type RequestDelivery, RequestRewriter } from './request-rewriter.js';
export {
  ConnectionLine,
  connectionLines,
  hstsLine,
  type ResponseDelivery,
  type ResponseNotes,
  ResponseRewriter,
} from './response-rewriter.js';
export { RewriterCache } from './rewriter-cache.js';
export { FieldLines } from './template.js';
