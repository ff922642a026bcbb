import type { LiveUpstream, Member } from './live-upstream.js';

/** An upstream, and who its endpoints are or should be. */
export interface UpstreamMembers {
  readonly upstream: LiveUpstream;
  readonly members: readonly Member[];
}

/** By the upstream's name. */
export type MembersByUpstream = ReadonlyMap<string, { readonly members: readonly Member[] }>;

/** No upstream grows into the last places: an address that takes another's place needs one while both have theirs. */
export const PLACES_FOR_MOVES = 128;

/**
 * As much of new lists as there is room for. Whoever is there and should be stays; of those who are new as many come as
 * take somebody's place, and as make an upstream larger, first where there are few. So one name that leads to thousands
 * of addresses keeps no other from moving. An upstream that would lose everybody keeps whom it has.
 *
 * @param inForce the lists that workers have
 * @param room how many may come
 */
export function fit(
  wanted: readonly UpstreamMembers[],
  inForce: MembersByUpstream,
  room: number,
): UpstreamMembers[] {
  const inTurn = wanted
    .map((one) => ({ one, ...changeOf(one.members, membersOf(inForce, one.upstream)) }))
    .sort((some, others) => some.coming.length - others.coming.length);
  const fitting = new Map<UpstreamMembers, UpstreamMembers>();
  let left = room;
  for (const { one, before, coming, going } of inTurn) {
    const moves = Math.min(coming.length, going, left);
    const growth = Math.min(coming.length - moves, left - moves - PLACES_FOR_MOVES);
    const count = moves + Math.max(0, growth);
    left -= count;
    const out = new Set(coming.slice(count));
    const members = one.members.filter((member) => !out.has(member));
    const isLost = members.length === 0 && one.members.length > 0;
    fitting.set(one, { ...one, members: isLost ? before : members });
  }
  return wanted.map((one) => fitting.get(one)!);
}

/** Nobody where it is not there. */
export function membersOf(lists: MembersByUpstream, { config }: LiveUpstream): readonly Member[] {
  return lists.get(config.name)?.members ?? [];
}

/** Whether two lists differ in who is there, or in how much each gets. */
export function isOther(one: readonly Member[], other: readonly Member[]): boolean {
  return one.length !== other.length || one.some((member, index) => !isSame(member, other[index]!));
}

function isSame(one: Member, other: Member): boolean {
  return (
    one.text === other.text &&
    one.weight === other.weight &&
    one.backup === other.backup &&
    one.host === other.host
  );
}

function changeOf(after: readonly Member[], before: readonly Member[]) {
  const were = new Set(before.map(({ text }) => text));
  const coming = after.filter(({ text }) => !were.has(text));
  // Of those before, all that do not stay.
  const going = before.length - (after.length - coming.length);
  return { before, coming, going };
}
