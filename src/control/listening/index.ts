/**
 * Listening sockets: bound before any worker starts, one for each worker (`listening.ts`), or inherited from the service
 * manager; who has which address now, and what another configuration changes of that (`bound-listeners.ts`).
 */
export { type BoundChange, BoundListeners } from './bound-listeners.js';
export { type Claim, claimedAddress } from './claim.js';
export { InheritedListeners } from './inherited-listeners.js';
export {
  bindErrorText,
  bindInet,
  bindUnix,
  removeListenerFile,
  removeSocketFile,
} from './listening.js';
