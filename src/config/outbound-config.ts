import { type ConfigFile, upstreamSchema } from './schema/index.js';
import { toUpstream } from './upstream-config.js';
import { withDefaults } from './validation/index.js';
import {
  type Files,
  type HostName,
  parseForwardTarget,
  parseNetwork,
  valid,
  withoutDot,
} from './values/index.js';

type HttpFile = NonNullable<ConfigFile['listeners'][string]['http']>;
type ForwardFile = NonNullable<NonNullable<HttpFile['routes']>[number]['forward']>;

/** Where a route lets clients go that say themselves where. */
export function toOutbound({ allow, resolves_to }: ForwardFile) {
  const targets = allow.map((text) => valid(parseForwardTarget(text)));
  return {
    kind: 'outbound' as const,
    /** Names without a dot at the end, each with the upstream that is made for it. */
    names: targets.flatMap((target) =>
      target.kind === 'host'
        ? [{ host: withoutDot(target.host), port: target.port, upstream: nameOf(target) }]
        : [],
    ),
    /** Ends of names that are looked up when they are asked for. Port 0 is any. */
    wildcards: targets.flatMap((target) =>
      target.kind === 'wildcard' ? [{ suffix: target.suffix, port: target.port }] : [],
    ),
    /** Where those may lead; null: to the public Internet. */
    resolvesTo: resolves_to?.map((text) => valid(parseNetwork(text))) ?? null,
    /** Port 0 is any. */
    networks: targets.flatMap((target) =>
      target.kind === 'network' ? [{ network: target.network, port: target.port }] : [],
    ),
  };
}

/** An upstream for each name that some route lets clients go to: names are looked up all the time. */
export function toOutboundUpstreams({ listeners }: ConfigFile, files: Files) {
  const names = new Set<string>();
  for (const { http } of Object.values(listeners)) {
    for (const { forward } of http?.routes ?? []) {
      for (const text of forward?.allow ?? []) {
        const target = valid(parseForwardTarget(text));
        if (target.kind === 'host') names.add(nameOf(target));
      }
    }
  }
  return [...names].map((name) => {
    const said = { endpoints: [name] };
    const file = withDefaults(upstreamSchema, said) as ConfigFile['upstreams'][string];
    return toUpstream(name, file, files);
  });
}

/** The colon keeps it apart from the names of the file. */
function nameOf({ host, port }: HostName): string {
  return `${host}:${port}`;
}
