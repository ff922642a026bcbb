/**
 * What is wrong with a file although each key by itself is right: addresses bound twice, routes behind one that takes
 * everything, keys that mean nothing together. Each rule looks at the value as the file has it.
 */
export { findAdminExposure } from './admin-exposure.js';
export { findBalanceMistakes } from './balance-rules.js';
export { findBindClashes, overlaps } from './bind-clash.js';
export { findOverflows } from './capacity.js';
export { findCaptureMistakes } from './capture-rules.js';
export { findHttpMistakes } from './http-rules.js';
export { findUnreachableRoutes } from './route-order.js';
