/** A network as a configuration says it: an address and how many of its leading bits count. */
export interface Network {
  /** 4 or 16 bytes, network byte order. */
  readonly bytes: readonly number[];
  /** 0 to 32, or 0 to 128. */
  readonly prefixBits: number;
}

/** What a node of the trie has at a branch besides another node's index. */
const NONE = 0;
const MEMBER = -1;

/**
 * A set of networks, asked for every connection: a binary trie in one array of integers. A look-up
 * walks at most 32 or 128 steps whatever the size of the set, and allocates nothing.
 */
export class NetworkSet {
  readonly isEmpty: boolean;
  /** Two entries a node, one a branch: {@link NONE}, {@link MEMBER}, or the next node's index. */
  private readonly nodes: Int32Array;
  /** Index of the first node for each family. */
  private readonly roots: { readonly inet: number; readonly inet6: number };

  constructor(networks: readonly Network[]) {
    this.isEmpty = networks.length === 0;
    // Index 0 means "nothing", so no node may be there.
    const nodes: number[] = [NONE, NONE];
    const root = (family: 4 | 16): number => {
      const index = addNode(nodes);
      for (const network of networks) {
        if (network.bytes.length !== family) continue;
        if (network.prefixBits === 0) nodes[index] = nodes[index + 1] = MEMBER;
        else insert(nodes, index, network);
      }
      return index;
    };
    this.roots = { inet: root(4), inet6: root(16) };
    this.nodes = Int32Array.from(nodes);
  }

  /**
   * @param bytes where the address is, network byte order
   * @param offset of its first byte
   * @param length 4 or 16
   */
  has(bytes: Uint8Array, offset: number, length: 4 | 16): boolean {
    let node = length === 4 ? this.roots.inet : this.roots.inet6;
    for (let bit = 0; bit < length * 8; bit++) {
      const branch = (bytes[offset + (bit >> 3)]! >> (7 - (bit & 7))) & 1;
      const next = this.nodes[node + branch]!;
      if (next === MEMBER) return true;
      if (next === NONE) return false;
      node = next;
    }
    return false;
  }
}

function addNode(nodes: number[]): number {
  nodes.push(NONE, NONE);
  return nodes.length - 2;
}

function insert(nodes: number[], root: number, { bytes, prefixBits }: Network): void {
  let node = root;
  for (let bit = 0; bit < prefixBits; bit++) {
    const branch = node + ((bytes[bit >> 3]! >> (7 - (bit & 7))) & 1);
    // A wider network has been put in before: this one adds nothing.
    if (nodes[branch] === MEMBER) return;
    if (bit === prefixBits - 1) {
      nodes[branch] = MEMBER;
      return;
    }
    if (nodes[branch] === NONE) nodes[branch] = addNode(nodes);
    node = nodes[branch]!;
  }
}
