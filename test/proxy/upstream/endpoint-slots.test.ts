import t from 'tap';
import {
  ENDPOINT_SLOTS,
  EndpointLedger,
  EndpointSlots,
  EndpointTable,
  type SlotRequest,
} from '#src/proxy/upstream/index.js';

function open() {
  const memory = EndpointTable.createMemory(1);
  const table = new EndpointTable(memory);
  return { table, slots: new EndpointSlots(table), ledger: new EndpointLedger(memory, 0) };
}

function request(upstream: string, ...addresses: string[]): SlotRequest {
  return { upstream, endpoints: addresses.map((address) => ({ address, weight: 1 })) };
}

/** So many addresses; with the upstream itself they take one slot more. */
function many(count: number, prefix = 'a'): SlotRequest {
  return request(prefix, ...Array.from({ length: count }, (_, index) => `${prefix}:${index}`));
}

t.test('slots: one for each endpoint and one for the upstream', async (t) => {
  const { slots, table } = open();
  const assigned = slots.assign([
    {
      upstream: 'pg',
      endpoints: [
        { address: 'a:1', weight: 2 },
        { address: 'a:2', weight: 0 },
      ],
    },
    request('api', 'a:1'),
  ]);
  const all = assigned.flatMap(({ slot, endpoints }) => [slot, ...endpoints]);
  t.equal(new Set(all).size, 5, 'the same address in two upstreams is two endpoints');
  t.equal(table.weight(assigned[0]!.endpoints[0]!), 2000);
  t.equal(table.weight(assigned[0]!.endpoints[1]!), 0);
  t.equal(slots.slotOf('pg', 'a:2'), assigned[0]!.endpoints[1]);
  t.equal(slots.slotOf('api'), assigned[1]!.slot);
  t.equal(slots.slotOf('api', 'a:2'), undefined);
});

t.test('slots: an address twice in one upstream is two endpoints', async (t) => {
  const { slots } = open();
  const [first] = slots.assign([request('pg', 'a:1', 'a:1')]);
  t.not(first!.endpoints[0], first!.endpoints[1]);
  t.same(slots.assign([request('pg', 'a:1', 'a:1')]), [first]);
});

t.test('slots: who stays keeps the slot and what is in it, in whatever order', async (t) => {
  const { slots, table, ledger } = open();
  const [before] = slots.assign([request('pg', 'a:1', 'a:2')]);
  const [one, two] = before!.endpoints;
  table.setDraining(two!, true);
  ledger.enter(two!, 10);
  const [after] = slots.assign([request('pg', 'a:3', 'a:2')]);
  t.equal(after!.slot, before!.slot);
  t.equal(after!.endpoints[1], two);
  t.not(after!.endpoints[0], one, 'flows still count in the slot released just now');
  t.match(table.read(two!), { active: 1, weight: 1 });
  t.equal(table.state(two!, 1), 4);
});

t.test('slots: a new weight is in effect', async (t) => {
  const { slots, table } = open();
  slots.assign([request('pg', 'a:1')]);
  slots.assign([{ upstream: 'pg', endpoints: [{ address: 'a:1', weight: 1.5 }] }]);
  t.equal(table.weight(slots.slotOf('pg', 'a:1')!), 1500);
});

t.test('slots: who comes back finds its slot as it was', async (t) => {
  const { slots, table, ledger } = open();
  const [before] = slots.assign([request('pg', 'a:1')]);
  ledger.connected(before!.endpoints[0]!);
  slots.assign([request('pg', 'a:2')]);
  const [after] = slots.assign([request('pg', 'a:1')]);
  t.same(after, before);
  t.equal(table.read(after!.endpoints[0]!).connects, 1);
});

t.test('slots: a released one with connections is given to nobody', async (t) => {
  const { slots, table, ledger } = open();
  const half = ENDPOINT_SLOTS / 2;
  const [first] = slots.assign([many(half - 1, 'a')]);
  const busy = first!.endpoints[5]!;
  ledger.enter(busy, 10);
  ledger.failed(first!.endpoints[6]!, 111);
  slots.assign([many(half - 1, 'b')]);
  // All slots are used; those of `a` are free by now, except one.
  const [third] = slots.assign([many(half - 2, 'c')]);
  t.notOk([third!.slot, ...third!.endpoints].includes(busy));
  t.equal(table.active(busy), 1);
  t.ok(
    third!.endpoints.every((slot) => table.read(slot).failures === 0),
    'what was there before is forgotten',
  );
});

t.test('slots: too many change nothing', async (t) => {
  const { slots, table } = open();
  const [before] = slots.assign([many(100, 'a')]);
  t.throws(() => slots.assign([many(ENDPOINT_SLOTS, 'b')]), RangeError);
  t.throws(() => slots.assign([many(ENDPOINT_SLOTS - 101, 'b')]), { message: /room for/ });
  t.equal(slots.slotOf('a', 'a:7'), before!.endpoints[7]);
  t.equal(slots.slotOf('b'), undefined);
  t.same(slots.assign([many(100, 'a')]), [before]);
  t.equal(table.weight(before!.endpoints[0]!), 1000);
  t.doesNotThrow(() => slots.assign([many(100, 'a'), many(ENDPOINT_SLOTS - 102, 'b')]));
});

t.test('slots: reload after reload finds room', async (t) => {
  const { slots } = open();
  for (let round = 0; round < 50; round++) slots.assign([many(1000, `r${round}`)]);
  t.type(slots.slotOf('r49', 'r49:999'), 'number');
  t.equal(slots.slotOf('r48'), undefined);
});
