/**
 * From the configuration to what workers are told: plain data with names resolved to positions, addresses as the kernel
 * takes them, and shared memory for what all workers count together. `worker-snapshot.ts` is the whole.
 */
export { Admissions } from './admission.js';
export { connectOptions } from './connect-options.js';
export { checkFileRoutes } from './file-routes.js';
export { makeSnapshot } from './worker-snapshot.js';
