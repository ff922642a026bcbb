/**
 * The machine and this process on it: who it runs as and what it may do, how many files it may open, what the service
 * manager wants to hear, and what this kernel offers (`diagnosis.ts`).
 */
export { accountChecks, groupId, userId } from './accounts.js';
export {
  checkCongestionControls,
  congestionControl,
  localCongestionControl,
} from './congestion-control.js';
export { type Check, diagnose } from './diagnosis.js';
export { openFilesMax } from './open-files.js';
export { dropPrivileges } from './privileges.js';
export { type InheritedSocket, inheritedSockets, ServiceManager } from './systemd.js';
