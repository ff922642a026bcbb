import { isDeepStrictEqual } from 'node:util';
import type { Config } from '../config/index.js';
import type { AdminChange, ReloadResult } from './admin/index.js';
import { type BoundChange, bindErrorText, removeListenerFile } from './listening/index.js';
import type { OpenedFile } from './logging/index.js';
import type { Site } from './site.js';
import type { PreparedCredentials } from './tls/index.js';

/** Why nothing can be reloaded any more. */
export const STOPPING = 'the proxy is stopping';

/** Keys that are read once, at the start. */
const restartKeys = {
  workers: 'workers',
  pinWorkers: 'pin_workers',
  ioUring: 'io_uring',
  user: 'user',
  group: 'group',
  noNewPrivs: 'no_new_privs',
} as const;

/** What came of it: with `config`, the configuration that is in force now. */
export type Reloaded = { readonly result: ReloadResult; readonly config: Config };

/**
 * Puts another configuration in the place of the one in force, all of it or nothing.
 *
 * ```
 *   bind what is new ──▶ look up new names ──▶ unlink what is old ──▶ tell workers ──▶ all have it
 *        │ failed             │ no room
 *        └────────────────────┴──▶ close what was bound: nothing has changed
 * ```
 *
 * @param isEnding whether the proxy has begun to end meanwhile: workers take no listeners any more
 */
export async function reload(
  site: Site,
  old: Config,
  wanted: Config,
  isEnding: () => boolean,
): Promise<Reloaded> {
  const { config, notes } = withoutRestartKeys(old, wanted);
  const { listeners, credentials, origins, admin } = site;
  const { access } = site.sink;
  const { accessFile } = config.log;
  let opened: OpenedFile | undefined;
  let change: BoundChange | undefined;
  let adminChange: AdminChange;
  let prepared: PreparedCredentials;
  try {
    site.checkMachine(config);
    prepared = credentials.prepare(config);
    // Also the one in use: somebody may have moved it away.
    if (accessFile !== null) opened = access.open(accessFile.file);
    change = await listeners.prepare(config, admin.claims);
    adminChange = await admin.prepare(config.admin, listeners.claims);
  } catch (error) {
    if (change !== undefined) listeners.abandon(change);
    access.discard(opened);
    return { result: { ok: false, problems: [bindErrorText(error)] }, config: old };
  }
  try {
    await origins.start(config);
    await site.settleUpstreams(config);
    if (isEnding()) throw new Error(STOPPING);
    site.upstreams.publish();
  } catch (error) {
    listeners.abandon(change);
    access.discard(opened);
    admin.abandon(adminChange);
    site.upstreams.abandon();
    return { result: { ok: false, problems: [(error as Error).message] }, config: old };
  }
  listeners.adopt(change);
  credentials.adopt(prepared);
  // Nobody finds the file any more when the workers take what is queued, and close.
  for (const one of change.removed) removeListenerFile(one);
  if (opened !== undefined) access.use(opened);
  const unconfirmed = await site.tellWorkers(config);
  // By now workers have handed over what they had for it; that is written first.
  if (opened === undefined) await access.close();
  const adminChanges = await admin.adopt(adminChange);
  site.sink.logger.level = config.log.level;
  const changes = [...describe(old, config, change), ...adminChanges, ...notes, ...unconfirmed];
  return { result: { ok: true, changes }, config };
}

function withoutRestartKeys(old: Config, wanted: Config): { config: Config; notes: string[] } {
  const keys = Object.keys(restartKeys) as (keyof typeof restartKeys)[];
  const changed: string[] = keys
    .filter((key) => !isDeepStrictEqual(old[key], wanted[key]))
    .map((key) => restartKeys[key]);
  if (old.log.format !== wanted.log.format) changed.push('log.format');
  if (old.limits.headBytes !== wanted.limits.headBytes) changed.push('limits.head_bytes');
  if (old.limits.headers !== wanted.limits.headers) changed.push('limits.headers');
  const { workers, pinWorkers, ioUring, user, group, noNewPrivs } = old;
  const log = { ...wanted.log, format: old.log.format };
  const { headBytes, headers } = old.limits;
  const limits = { ...wanted.limits, headBytes, headers };
  return {
    config: { ...wanted, workers, pinWorkers, ioUring, user, group, noNewPrivs, log, limits },
    notes: changed.map((key) => `${key}: needs a restart`),
  };
}

function describe(old: Config, config: Config, { added, removed }: BoundChange): string[] {
  return [
    ...added.map(({ listener, text }) => `listeners.${listener.name}: ${text} added`),
    ...removed.map(({ listener, text }) => `listeners.${listener.name}: ${text} removed`),
    ...describeNamed('listeners', old.listeners, config.listeners, (one) => ({ ...one, bind: [] })),
    ...describeNamed('upstreams', old.upstreams, config.upstreams),
    ...(['log', 'timeouts', 'limits'] as const)
      .filter((key) => !isDeepStrictEqual(old[key], config[key]))
      .map((key) => `${key}: changed`),
  ];
}

function describeNamed<Item extends { name: string }>(
  section: string,
  old: readonly Item[],
  next: readonly Item[],
  compared: (item: Item) => unknown = (item) => item,
): string[] {
  const find = (items: readonly Item[], name: string) => items.find((one) => one.name === name);
  const names = [...new Set([...old, ...next].map(({ name }) => name))];
  return names.flatMap((name) => {
    const [before, after] = [find(old, name), find(next, name)];
    if (before === undefined) return [`${section}.${name}: added`];
    if (after === undefined) return [`${section}.${name}: removed`];
    return isDeepStrictEqual(compared(before), compared(after))
      ? []
      : [`${section}.${name}: changed`];
  });
}
