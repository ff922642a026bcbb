import { fchownSync, readdirSync, readFileSync } from 'node:fs';
import type { Config } from '../../config/index.js';
import { type Kernel, Misc, orThrow } from '../../splice/index.js';
import { findUser, groupId } from './accounts.js';
import { keepBindService } from './bind-capability.js';
import { isAllowed, namedCongestionControls } from './congestion-control.js';

/** The process cannot become who it is to be; the message is one line for people. */
export class PrivilegeError extends Error {}

/**
 * Gives up root: the process becomes `user` and `group`, and with `no_new_privs` can never gain
 * privileges by execve(2) again. To be called after everything is bound and before the workers start.
 *
 * What is kept is CAP_NET_BIND_SERVICE. A reload may bring a listener below 1024, as it may with proxies
 * whose first process stays root, and a restart would cut every connection; all the capability is good
 * for is binding such ports.
 *
 * Linux knows credentials of threads only. Node's setgid and setuid are those of the C library, which
 * has every thread of the process follow (nptl(7)); the result is checked thread by thread.
 * PR_SET_NO_NEW_PRIVS has no such help: this thread has it, the workers it is about to start inherit
 * it, and so does every program this thread starts. Threads of Node's own that are there already (V8's
 * and libuv's pools) do not have it; they start no programs.
 *
 * @param sockets what is bound; it becomes the user's, because only sockets of one user may share a
 *   port (SO_REUSEPORT, socket(7)), which a reload from one address to a wider one needs
 * @throws PrivilegeError, UnknownAccount, SystemCallError
 */
export function dropPrivileges(kernel: Kernel, config: Config, sockets: readonly number[]): void {
  const { user, group, noNewPrivs } = config;
  if (user !== null || group !== null) become(kernel, config, sockets);
  if (noNewPrivs) orThrow(kernel.prctl(Misc.PR_SET_NO_NEW_PRIVS, 1), 'prctl PR_SET_NO_NEW_PRIVS');
}

function become(kernel: Kernel, config: Config, sockets: readonly number[]): void {
  const { user, group } = config;
  const account = user === null ? undefined : findUser(user);
  const uid = account?.uid ?? process.getuid!();
  const gid = group === null ? account?.gid : groupId(group);
  if (gid === undefined) {
    throw new PrivilegeError(
      `user is ${user}, which is not in /etc/passwd: "group" must be said, too`,
    );
  }
  if (process.getuid!() === uid && process.getgid!() === gid && uid !== 0) return;
  if (process.getuid!() !== 0) {
    const wanted = user === null ? `group is ${group}` : `user is ${user}`;
    throw new PrivilegeError(
      `${wanted}, but only root can become somebody else; this process is user ${process.getuid!()}`,
    );
  }
  const transparent = config.listeners.find(({ socket }) => socket.transparent);
  if (uid !== 0 && transparent !== undefined) {
    throw new PrivilegeError(
      `listeners.${transparent.name}.socket.transparent needs CAP_NET_ADMIN for every connection, which "user" gives up`,
    );
  }
  const special = namedCongestionControls(config).find(({ name }) => !isAllowed(name));
  if (uid !== 0 && special !== undefined) {
    throw new PrivilegeError(
      `${special.key} is "${special.name}", which is not in net.ipv4.tcp_allowed_congestion_control and needs CAP_NET_ADMIN for every connection, which "user" gives up`,
    );
  }
  for (const fd of sockets) fchownSync(fd, uid, gid);
  const raise = uid === 0 ? () => {} : keepBindService(kernel);
  // Groups first: afterwards it is not allowed any more.
  if (account?.name === undefined) process.setgroups!([gid]);
  else (process as InitgroupsProcess).initgroups(account.name, gid);
  process.setgid!(gid);
  process.setuid!(uid);
  raise();
  for (const thread of credentialsOfThreads()) {
    if (thread.uids.every((one) => one === uid) && thread.gids.every((one) => one === gid))
      continue;
    throw new PrivilegeError(`thread ${thread.id} did not become user ${uid}, group ${gid}`);
  }
}

/** Documented, and missing in the types. */
type InitgroupsProcess = NodeJS.Process & { initgroups(user: string, group: number): void };

/** Real, effective, saved and file system ids of every thread (proc_pid_status(5)). */
function credentialsOfThreads(): { id: string; uids: number[]; gids: number[] }[] {
  return readdirSync('/proc/self/task').map((id) => {
    const status = readFileSync(`/proc/self/task/${id}/status`, 'utf8');
    const ids = (key: string) => {
      const line = new RegExp(`^${key}:\\s+(.*)$`, 'm').exec(status);
      return (line?.[1] ?? '').split(/\s+/).map(Number);
    };
    return { id, uids: ids('Uid'), gids: ids('Gid') };
  });
}
