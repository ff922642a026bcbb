/**
 * Routes that serve files: from the path of a request to an open file below a root directory, and from there to a
 * client. The kernel resolves paths (openat2), and the page cache is sent as it is (sendfile); no byte of a large
 * file passes through here unless TLS in userland wants it. Files stay open between requests, small ones in memory, too,
 * and what is sent is one version of a file or an error.
 */
export { FileCache } from './file-cache.js';
export { FilesRoom } from './files-room.js';
export { FilesRoute } from './files-route.js';
export type { FilesSnapshot } from './files-snapshot.js';
