import { Epoll } from '../splice/index.js';

/** What a connection is registered for, once for its whole life. */
export const SOCKET_EVENTS =
  (Epoll.EPOLLIN | Epoll.EPOLLOUT | Epoll.EPOLLPRI | Epoll.EPOLLRDHUP | Epoll.EPOLLET) >>> 0;

/**
 * The same without the arrival of bytes: EPOLLPRI as well, because the kernel wakes for both whenever
 * bytes arrive (sock_def_readable).
 */
export const MUTED_EVENTS = (SOCKET_EVENTS & ~(Epoll.EPOLLIN | Epoll.EPOLLPRI)) >>> 0;
