// Names that lead to more endpoints than there is room for.
import t, { type Test } from 'tap';
import { loadConfig } from '#src/config/index.js';
import { Supervisor } from '#src/control/index.js';
import { Upstreams } from '#src/control/upstreams/index.js';
import { EndpointTable } from '#src/proxy/index.js';
import { recordedLog } from '#test/control/discovery/recorded-log.js';
import { until } from '#test/support/deadline.js';
import { DnsServer } from '#test/support/peers/dns-server.js';

const timeout = { timeout: 60_000 };
/** As many as one name may have. */
const MANY = 256;
const wide = Array.from({ length: 15 }, (_, index) => `wide${index}`);

function addresses(count: number, first: number): string[] {
  return Array.from({ length: count }, (_, index) => `10.${first}.${index >> 7}.${index & 127}`);
}

async function openDns(t: Test): Promise<DnsServer> {
  const dns = await DnsServer.open();
  t.teardown(() => dns.close());
  for (const [index, name] of wide.entries()) dns.host(`${name}.test`, addresses(MANY, index), 1);
  dns.host('app.test', ['10.100.0.1'], 1);
  dns.host('more.test', ['10.101.0.1'], 1);
  return dns;
}

function configOf(...names: string[]) {
  const upstreams = names.map((name) => `  ${name}: { endpoints: ["${name}.test.:80"] }`);
  const loaded = loadConfig(`workers: 1
log: { level: silent }
listeners: { web: { bind: "127.0.0.1:0", tcp: { upstream: app } } }
upstreams:
${upstreams.join('\n')}`);
  if (!loaded.ok) throw new Error(JSON.stringify(loaded.problems));
  return loaded.config;
}

function discoveryOf(dns: DnsServer) {
  return { servers: [dns.address], families: ['inet' as const] };
}

t.test(
  'upstreams: a name that leads to too many keeps no other from moving',
  timeout,
  async (t) => {
    const dns = await openDns(t);
    const { logger, lines } = recordedLog();
    const table = new EndpointTable(EndpointTable.createMemory(1));
    const upstreams = new Upstreams({
      logger,
      table,
      discovery: discoveryOf(dns),
      onChange: () => undefined,
    });
    t.teardown(() => upstreams.stop());
    upstreams.configure(configOf('app', 'more', ...wide).upstreams, new Map());
    await upstreams.settle(10_000);
    upstreams.publish();
    const endpointsOf = (name: string) =>
      upstreams.statistics().find((one) => one.name === name)!.endpoints;
    const said = (what: RegExp) => lines.filter(({ msg }) => what.test(msg)).length;
    t.equal(endpointsOf('wide14').length, MANY);

    dns.host('more.test', addresses(MANY, 101), 1);
    await until(20_000, 'some of the many are there', () => endpointsOf('more').length > 1);
    t.ok(endpointsOf('more').length < MANY, `${endpointsOf('more').length} of them`);
    for (const last of [2, 3, 4]) {
      dns.host('app.test', [`10.100.0.${last}`], 1);
      await until(20_000, `app moves to ${last}`, () => {
        return endpointsOf('app')[0]!.address === `10.100.0.${last}:80`;
      });
    }
    t.equal(said(/more endpoints than there is room for/), 1);
    t.match(
      lines.find(({ msg }) => /than there is room/.test(msg)),
      { upstreams: ['more'] },
    );
    t.equal(said(/there is room for all/), 0);

    // As many go as come, and only when they are gone is there room.
    dns.host('wide14.test', ['10.102.0.1'], 1);
    await until(20_000, 'all of the many', () => endpointsOf('more').length === MANY);
    t.equal(endpointsOf('wide14')[0]!.address, '10.102.0.1:80');
    t.equal(said(/there is room for all/), 1);
  },
);

t.test('upstreams: a reload without room changes nothing, and names go on', timeout, async (t) => {
  const dns = await openDns(t);
  const more = ['even', 'still'].map((name, index) => {
    dns.host(`${name}.test`, addresses(MANY, 110 + index), 1);
    return name;
  });
  const config = configOf('app', 'gone', ...wide);
  dns.host('gone.test', ['10.103.0.1'], 1);
  const supervisor = await Supervisor.start(config, { discovery: discoveryOf(dns) });
  t.teardown(() => supervisor.close());
  const endpointsOf = (name: string) =>
    supervisor.statistics().upstreams.find((one) => one.name === name)!.endpoints;
  // What the refused configuration does not have could not be found again.
  dns.both('gone.test', { rcode: 'SERVFAIL' });
  const result = await supervisor.reload(configOf('app', ...more, ...wide));
  t.match(result, { ok: false, problems: [/^no room for \d+ more upstreams and endpoints/] });
  t.equal(endpointsOf('gone')[0]?.address, '10.103.0.1:80');
  dns.host('app.test', ['10.100.0.2'], 1);
  await until(20_000, 'app moves', () => endpointsOf('app')[0]!.address === '10.100.0.2:80');
  t.match(await supervisor.reload(configOf('app', ...wide)), { ok: true });
});
