import type { Address, UpstreamConfig } from '../../config/index.js';
import { formatAddress, type SocketAddress } from '../../splice/index.js';
import type { Discovery, NameWatch, ResolvedEndpoint } from '../discovery/index.js';
import { socketAddress } from '../socket-address.js';

/** The table has weights × 1000 in 31 bits. */
const WEIGHT_MAX = 2_000_000;

/** One endpoint that an upstream has now. */
export interface Member {
  readonly address: Address;
  readonly socket: SocketAddress;
  /** As log lines and the admin endpoint call it. */
  readonly text: string;
  /** The name that led here, if one did. */
  readonly host: string | undefined;
  readonly weight: number;
  readonly backup: boolean;
}

type Source = { readonly members: readonly Member[] };

/** An upstream of the configuration, and where its names lead at the moment. */
export class LiveUpstream {
  private readonly sources: Source[] = [];
  private readonly watches: NameWatch[] = [];

  /**
   * @param demo where the demo origin listens, for an upstream that is one
   * @param discovery made when there is a name to look up
   * @param onChange a name leads elsewhere
   * @throws RangeError when an address has a zone that is no interface
   */
  constructor(
    readonly config: UpstreamConfig,
    demo: Address | undefined,
    discovery: () => Discovery,
    onChange: () => void,
  ) {
    if (demo !== undefined) this.sources.push({ members: [member(demo, 1, false)] });
    for (const { target, weight, backup } of config.endpoints) {
      if (target.kind === 'address') {
        this.sources.push({ members: [member(target.address, weight, backup)] });
        continue;
      }
      const watch = discovery().watch(target, onChange);
      this.watches.push(watch);
      this.sources.push({
        get members() {
          return watch.endpoints.flatMap((found) => resolvedMember(found, weight, backup) ?? []);
        },
      });
    }
  }

  /** In the order of the configuration, each address once. */
  get members(): Member[] {
    const byText = new Map<string, Member>();
    for (const { members } of this.sources) {
      for (const one of members) if (!byText.has(one.text)) byText.set(one.text, one);
    }
    return [...byText.values()];
  }

  /** Settles when each name was looked up once, with whatever outcome. */
  async firstAnswers(): Promise<void> {
    await Promise.all(this.watches.map(({ first }) => first));
  }

  stop(): void {
    for (const watch of this.watches) watch.stop();
  }
}

/** @returns nothing for an address of an interface that is not there, as hosts(5) may have it */
function resolvedMember(
  found: ResolvedEndpoint,
  weight: number,
  backup: boolean,
): Member | undefined {
  const share = Math.min(weight * found.weight, WEIGHT_MAX);
  try {
    return { ...member(found.address, share, backup || found.tier > 0), host: found.host };
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

function member(address: Address, weight: number, backup: boolean): Member {
  const socket = socketAddress(address);
  return { address, socket, text: formatAddress(socket), host: undefined, weight, backup };
}
