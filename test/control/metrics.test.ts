import { readFileSync } from 'node:fs';
import t from 'tap';
import { lookupOutcomes, type NameFacts } from '#src/control/discovery/index.js';
import { Metrics } from '#src/control/metrics/index.js';
import { NO_ROUTE, RouteMemory } from '#src/control/statistics/route-memory.js';
import { readRouteStatistics } from '#src/control/statistics/route-statistics.js';
import { readStatistics, type Statistics } from '#src/control/statistics/statistics.js';
import type { Validity } from '#src/control/tls/index.js';
import type { EndpointStatistics } from '#src/control/upstreams/index.js';
import { Refusal } from '#src/proxy/http/guarding/index.js';
import { Lateness } from '#src/proxy/http/lateness.js';
import {
  COUNTER_REGION_BYTES,
  Counters,
  connectBoundsMs,
  counterNames,
  EndpointState,
  LISTENERS_MAX,
  RouteCounters,
} from '#src/proxy/index.js';
import { Rejection } from '#src/proxy/tcp/index.js';
import { Errno, PUMP_SLOTS } from '#src/splice/index.js';
import {
  KernelTlsRefusal,
  TicketOutcome,
  TlsEnding,
  type TlsSession,
  TlsVersion,
} from '#src/tls/index.js';
import { type Family, parseExposition } from '#test/support/control/exposition.js';

const docs = readFileSync(new URL('../../../docs/metrics.md', import.meta.url), 'utf8');

const endpoint: EndpointStatistics = {
  address: '127.0.0.1:5432',
  state: EndpointState.ejected,
  weight: 0.5,
  active: 3,
  waiting: 0,
  connects: 40,
  responses: [1, 0, 30, 0, 0, 4],
  failures: 5,
  failuresInRow: 5,
  lastErrno: Errno.ECONNREFUSED,
  ejections: 1,
  ejectedForMs: 100,
};

const noLookups = Object.fromEntries(lookupOutcomes.map((outcome) => [outcome, 0]));

const found: NameFacts = {
  name: 'db.test',
  state: 'stale',
  endpoints: 3,
  lookups: { ...noLookups, answered: 7, timeout: 2 } as NameFacts['lookups'],
  answerAgeMs: 4_500,
};

const neverFound: NameFacts = {
  name: 'srv:_pg._tcp.test',
  state: 'absent',
  endpoints: 0,
  lookups: { ...noLookups, not_found: 1 } as NameFacts['lookups'],
  answerAgeMs: undefined,
};

/** A route of two workers' that was asked for, and one that was not. */
function busyRoutes(): RouteMemory {
  const memory = new RouteMemory(2);
  const shared = memory.countersOf({ listener: 'web', route: 'api' });
  memory.countersOf({ listener: 'web', route: NO_ROUTE });
  const [one, other] = [0, 1].map((worker) => new RouteCounters(shared, worker));
  for (const part of [one!, other!]) {
    for (let request = 0; request < 5; request++) part.countBegun();
    part.countEnded(200, 3, 2);
    part.countEnded(404, 0.5, 0.5);
    part.countEnded(0, 70_000, -1);
  }
  one!.countEnded(999, 100, 100);
  one!.countRefused(Refusal.rate_limited);
  other!.countLate(Lateness.response);
  other!.countRefused(Refusal.none);
  return memory;
}

const routes = busyRoutes();

function validity(kind: Validity['kind'], name: string, notAfterMs: number | null): Validity {
  return { kind, owner: { listener: 'web' }, name, file: 'f', notBeforeMs: 0, notAfterMs };
}

function region(): Counters {
  return new Counters(new SharedArrayBuffer(COUNTER_REGION_BYTES));
}

function statistics(regions: Counters[], listeners = ['web']): Statistics {
  return {
    ...readStatistics(regions, listeners),
    uptimeMs: 1500,
    workers: { configured: 3, running: 2, deaths: 4 },
    reloads: { applied: 2, refused: 1, isLastRefused: true },
    limits: { connectionsMax: 20_000, pipeMemoryBytes: 1024 },
    captures: {
      thread: 'running',
      complete: 5,
      incomplete: { disk_full: 2 },
      diskBytes: 6000,
      deleted: 1,
      storedBytes: 8192,
      storedFlows: 3,
    },
    routes: readRouteStatistics(routes),
    upstreams: [{ name: 'pg', waiting: 2, endpoints: [endpoint] }],
    names: [found, neverFound],
    validities: [
      validity('certificate', 'a.test', 9_500),
      validity('ocsp_response', 'a.test', 6_000),
      validity('certificate', 'a.test', 8_500),
      validity('ocsp_response', 'a.test', null),
      validity('certificate', 'b.test', 7_000),
      validity('revocation_list', 'CN=clients', 5_000),
      validity('revocation_list', 'CN=others', null),
      { ...validity('certificate', 'CN=proxy', 4_000), owner: { upstream: 'pg' } },
    ],
    logLinesDropped: 7,
    accessFile: { errors: 3, linesLost: 5 },
  };
}

async function scrape(regions: Counters[], listeners?: string[]): Promise<Map<string, Family>> {
  return parseExposition(await new Metrics(() => statistics(regions, listeners)).expose());
}

/** The value of the one sample that has all of `labels`. */
function sampleValue(
  families: Map<string, Family>,
  name: string,
  labels: Record<string, string> = {},
): number {
  const family = families.get(name.replace(/_(bucket|sum|count)$/, '')) ?? families.get(name);
  const found = family?.samples.filter(
    (sample) =>
      sample.name === name &&
      Object.entries(labels).every(([key, value]) => sample.labels[key] === value),
  );
  if (found?.length !== 1) throw new Error(`${found?.length} samples of ${name}`);
  return found[0]!.value;
}

/** Something of everything, so that no family is empty. */
function busyRegion(): Counters {
  const counters = region();
  counters.countError('recv', Errno.ECONNRESET);
  counters.countRejected(0, Rejection.not_tls);
  counters.countHttpRejected(0, 1);
  counters.countMirrored(0);
  counters.countMirrorCut(0, 'full');
  counters.countAccepted(0);
  counters.countConnected(3);
  counters.tls.countHandshake('client', session, 0, KernelTlsRefusal.NotOffered);
  counters.tls.countHandshake('upstream', session, KernelTlsRefusal.NoModule, 1);
  counters.tls.countFailure('client', 'plain_http');
  counters.tls.countEnding('client', TlsEnding.Truncated);
  counters.tls.countTickets('upstream', TicketOutcome.Kept);
  return counters;
}

const session: TlsSession = {
  version: TlsVersion.Tls13,
  cipher: 'TLS_AES_128_GCM_SHA256',
  cipherId: 0x1301,
  isResumed: true,
  serverName: 'a.test',
  alpn: undefined,
  peer: undefined,
};

t.test('metrics: handshakes are told by what was agreed on', async (t) => {
  const families = await scrape([busyRegion(), busyRegion()]);
  const agreed = { version: '1.3', cipher: 'TLS_AES_128_GCM_SHA256', resumed: 'true' };
  const kernel = { kernel_tx: 'true', kernel_rx: 'false' };
  const total = 'headgate_tls_handshakes_total';
  t.equal(sampleValue(families, total, { side: 'client', ...agreed, ...kernel }), 2);
  const fallback = { side: 'upstream', direction: 'tx', reason: 'no_module' };
  t.equal(sampleValue(families, 'headgate_tls_kernel_fallbacks_total', fallback), 2);
  const failure = { side: 'client', reason: 'plain_http' };
  t.equal(sampleValue(families, 'headgate_tls_handshake_failures_total', failure), 2);
  const ending = { side: 'client', ending: 'truncated' };
  t.equal(sampleValue(families, 'headgate_tls_endings_total', ending), 2);
  const tickets = { side: 'upstream', outcome: 'kept' };
  t.equal(sampleValue(families, 'headgate_tls_tickets_total', tickets), 2);
});

t.test('metrics: the page is one Prometheus accepts', async (t) => {
  const families = await scrape([busyRegion(), region()]);
  t.ok(families.size > 40);
  for (const name of families.keys()) t.match(name, /^(headgate|process|nodejs)_[a-z0-9_]+$/);
  t.ok(families.has('process_resident_memory_bytes') && families.has('nodejs_version_info'));
});

t.test('metrics: the table in docs/metrics.md is what is exposed', async (t) => {
  const families = await scrape([busyRegion()]);
  const exposed = [...families.values()]
    .filter(({ name }) => name.startsWith('headgate_'))
    .map(({ name, type, help, samples }) => {
      const labels = new Set(samples.flatMap((sample) => Object.keys(sample.labels)));
      return { name, type, labels: [...labels].join(), meaning: help };
    });
  const rows = [...docs.matchAll(/^\| `(headgate_\w+)` \| (\w+) \| (.*?) \| (.*?) \| (.*?) \|$/gm)];
  const documented = rows.map(([, name, type, labels, meaning]) => ({
    name,
    type,
    labels: labels === '–' ? '' : labels!.replaceAll(/[` ]/g, ''),
    meaning,
  }));
  t.strictSame(documented, exposed);
  t.ok(rows.every(([, , , , , alert]) => alert !== ''));
});

t.test('metrics: every number a worker counts comes out somewhere', async (t) => {
  const counters = region();
  const metrics = new Metrics(() => statistics([counters]));
  const read = async () =>
    (await metrics.expose()).split('\n').filter((l) => l.startsWith('headgate_'));
  const quiet = await read();
  const slots = [
    ...counterNames,
    ...Array.from({ length: 2 * PUMP_SLOTS }, (_, slot) => `pump ${slot}`),
  ];
  for (const [slot, name] of slots.entries()) {
    // By listener there is the same number: headgate_connections_active.
    if (name === 'flows_active') continue;
    counters.values[slot] = 1;
    t.notSame(await read(), quiet, name);
    counters.values[slot] = 0;
  }
});

t.test('metrics: the workers are added up', async (t) => {
  const [one, other] = [region(), region()];
  one.up[0] = 100;
  other.up[0] = 11;
  other.down[2] = 5;
  one.countAccepted(1);
  other.countAccepted(1);
  other.countClosed(1, 'upstream_reset');
  for (let error = 0; error < 3; error++) other.countError('splice', Errno.EPIPE);
  const families = await scrape([one, other], ['web', 'db']);
  t.equal(sampleValue(families, 'headgate_bytes_total', { direction: 'up', path: 'copy' }), 111);
  t.equal(sampleValue(families, 'headgate_bytes_total', { direction: 'down', path: 'splice' }), 5);
  t.equal(sampleValue(families, 'headgate_connections_active', { listener: 'db' }), 1);
  t.equal(sampleValue(families, 'headgate_connections_total', { listener: 'db' }), 2);
  t.equal(sampleValue(families, 'headgate_connections_total', { listener: 'web' }), 0);
  const ended = { listener: 'db', reason: 'upstream_reset' };
  t.equal(sampleValue(families, 'headgate_connections_closed_total', ended), 1);
  for (const region of [one, other]) region.countRejected(1, Rejection.plain_http);
  const rejected = { listener: 'db', reason: 'plain_http' };
  const later = await scrape([one, other], ['web', 'db']);
  t.equal(sampleValue(later, 'headgate_heads_rejected_total', rejected), 2);
  const error = { syscall: 'splice', errno: 'EPIPE' };
  t.equal(sampleValue(families, 'headgate_syscall_errors_total', error), 3);
  t.equal(sampleValue(families, 'headgate_uptime_seconds'), 1.5);
  t.equal(sampleValue(families, 'headgate_workers', { state: 'running' }), 2);
  t.equal(sampleValue(families, 'headgate_worker_deaths_total'), 4);
  t.equal(sampleValue(families, 'headgate_reloads_total', { result: 'refused' }), 1);
  t.equal(sampleValue(families, 'headgate_config_last_reload_successful'), 0);
  t.equal(sampleValue(families, 'headgate_log_lines_dropped_total', { thread: 'control' }), 7);
});

t.test('metrics: an endpoint has one state, and its numbers', async (t) => {
  const families = await scrape([region()]);
  const labels = { upstream: 'pg', endpoint: '127.0.0.1:5432' };
  const state = (state: string) =>
    sampleValue(families, 'headgate_endpoint_state', { ...labels, state });
  t.strictSame(['up', 'ejected', 'down', 'draining'].map(state), [0, 1, 0, 0]);
  t.equal(sampleValue(families, 'headgate_endpoint_weight', labels), 0.5);
  t.equal(sampleValue(families, 'headgate_endpoint_connections_active', labels), 3);
  t.equal(sampleValue(families, 'headgate_endpoint_connects_total', labels), 40);
  t.equal(sampleValue(families, 'headgate_endpoint_failures_total', labels), 5);
  t.equal(sampleValue(families, 'headgate_endpoint_ejections_total', labels), 1);
  t.equal(sampleValue(families, 'headgate_upstream_queue', { upstream: 'pg' }), 2);
});

t.test('metrics: a name has one state, and an age once it was found', async (t) => {
  const families = await scrape([region()]);
  const value = (metric: string, labels: Record<string, string>) =>
    sampleValue(families, `headgate_name_${metric}`, labels);
  for (const state of ['unknown', 'fresh', 'stale', 'absent']) {
    t.equal(value('state', { name: found.name, state }), state === 'stale' ? 1 : 0, state);
    t.equal(value('state', { name: neverFound.name, state }), state === 'absent' ? 1 : 0, state);
  }
  t.equal(value('endpoints', { name: found.name }), 3);
  t.equal(value('endpoints', { name: neverFound.name }), 0);
  t.equal(value('lookups_total', { name: found.name, outcome: 'answered' }), 7);
  t.equal(value('lookups_total', { name: found.name, outcome: 'timeout' }), 2);
  t.equal(value('lookups_total', { name: neverFound.name, outcome: 'answered' }), 0);
  t.equal(value('lookups_total', { name: neverFound.name, outcome: 'not_found' }), 1);
  const ages = families.get('headgate_name_answer_age_seconds')!.samples;
  t.strictSame(
    ages.map(({ labels, value }) => ({ ...labels, value })),
    [{ name: found.name, value: 4.5 }],
  );
});

t.test('metrics: of two certificates for one name the first to end is told', async (t) => {
  const families = await scrape([region()]);
  const ends = (name: string) =>
    sampleValue(families, 'headgate_certificate_expiry_seconds', { listener: 'web', name });
  t.strictSame(['a.test', 'b.test'].map(ends), [8.5, 7]);
  const responses = families.get('headgate_ocsp_response_expiry_seconds')!.samples;
  t.strictSame(
    responses.map(({ labels, value }) => [labels.name, value]),
    [['a.test', 6]],
    'what has no end, or no response, has no series',
  );
  const list = { listener: 'web', name: 'CN=clients' };
  t.equal(sampleValue(families, 'headgate_revocation_list_expiry_seconds', list), 5);
  t.equal(families.get('headgate_revocation_list_expiry_seconds')!.samples.length, 1);
  const shown = { upstream: 'pg', name: 'CN=proxy' };
  t.equal(sampleValue(families, 'headgate_upstream_certificate_expiry_seconds', shown), 4);
});

t.test('metrics: connect times fall into the bucket that includes them', async (t) => {
  const name = 'headgate_upstream_connect_seconds';
  const counters = region();
  for (const elapsedMs of [0, 0.1, 0.11, 5, 10_000, 10_001]) counters.countConnected(elapsedMs);
  const families = await scrape([counters]);
  const upTo = (le: string): number => sampleValue(families, `${name}_bucket`, { le });
  t.equal(upTo('0.0001'), 2, 'a bound belongs to its bucket');
  t.equal(upTo('0.00025'), 3);
  t.equal(upTo('0.0025'), 3);
  t.equal(upTo('0.005'), 4);
  t.equal(upTo('10'), 5);
  t.equal(upTo('+Inf'), 6);
  t.equal(sampleValue(families, `${name}_count`), 6);
  const sum = sampleValue(families, `${name}_sum`);
  t.ok(Math.abs(sum - 20.00621) < 1e-9, `${sum}`);
  const buckets = families.get(name)!.samples.filter((sample) => 'le' in sample.labels);
  t.equal(buckets.length, connectBoundsMs.length + 1);
});

t.test('metrics: requests by route, of all workers', async (t) => {
  const families = await scrape([region()]);
  const route = { listener: 'web', route: 'api' };
  const total = (status_class: string) =>
    sampleValue(families, 'headgate_http_requests_total', { ...route, status_class });
  t.strictSame(['2xx', '4xx', '5xx', 'none'].map(total), [2, 2, 1, 2]);
  t.equal(sampleValue(families, 'headgate_http_requests_active', route), 3);
  const none = { listener: 'web', route: '' };
  t.equal(sampleValue(families, 'headgate_http_requests_active', none), 0);
  const refused = { ...route, reason: 'rate_limited' };
  t.equal(sampleValue(families, 'headgate_http_requests_refused_total', refused), 1);
  const late = { ...route, reason: 'response' };
  t.equal(sampleValue(families, 'headgate_http_requests_timed_out_total', late), 1);
  const duration = 'headgate_http_request_duration_seconds';
  const upTo = (le: string) => sampleValue(families, `${duration}_bucket`, { ...route, le });
  t.strictSame(['0.0005', '0.001', '0.005', '0.1', '60', '+Inf'].map(upTo), [2, 2, 4, 5, 5, 7]);
  t.equal(sampleValue(families, `${duration}_sum`, route), 140.107);
  const first = 'headgate_http_time_to_first_byte_seconds';
  t.equal(sampleValue(families, `${first}_count`, route), 5, 'those that have one');
  t.equal(sampleValue(families, `${first}_sum`, route), 0.105);
  t.throws(() => sampleValue(families, `${first}_count`, none), 'nobody has asked for it');
});

t.test('metrics: a dead worker’s requests are over, and what it counted stays', async (t) => {
  const memory = busyRoutes();
  memory.forgetWorker(0);
  const [route] = readRouteStatistics(memory);
  t.match(route, { route: 'api', active: 2, ended: { '2xx': 2 } });
});

t.test('metrics: every scrape reads anew', async (t) => {
  const counters = region();
  const metrics = new Metrics(() => statistics([counters]));
  const read = async () =>
    sampleValue(parseExposition(await metrics.expose()), 'headgate_connections_total');
  t.equal(await read(), 0);
  counters.countAccepted(0);
  t.equal(await read(), 1);
  t.equal(await read(), 1, 'and not twice');
});

t.test('metrics: two proxies in one process have numbers of their own', async (t) => {
  const one = region();
  one.countAccepted(0);
  t.equal(sampleValue(await scrape([one]), 'headgate_connections_total'), 1);
  t.equal(sampleValue(await scrape([region()]), 'headgate_connections_total'), 0);
});

t.test('metrics: labels are escaped', async (t) => {
  const families = await scrape([region()], ['a"b\\c']);
  t.equal(sampleValue(families, 'headgate_connections_total', { listener: 'a"b\\c' }), 0);
});

t.test('metrics: listeners past those with counters of their own are one series', (t) => {
  const counters = new Counters(new SharedArrayBuffer(COUNTER_REGION_BYTES));
  const names = Array.from({ length: LISTENERS_MAX + 10 }, (_, index) => `port-${index}`);
  for (const index of names.keys()) counters.countAccepted(index);
  const { listeners } = readStatistics([counters], names);
  t.equal(Object.keys(listeners).length, LISTENERS_MAX);
  t.equal(listeners['port-254']!.accepted, 1);
  t.equal(listeners['(others)']!.accepted, 11);
  const exactly = readStatistics([counters], names.slice(0, LISTENERS_MAX));
  t.ok('port-255' in exactly.listeners);
  t.end();
});

t.test('metrics: scrapes at the same time share a page, of one reading', async (t) => {
  let readings = 0;
  const metrics = new Metrics(() => {
    readings++;
    return statistics([]);
  });
  const pages = await Promise.all([metrics.expose(), metrics.expose(), metrics.expose()]);
  t.equal(readings, 1);
  t.equal(new Set(pages).size, 1);
  await metrics.expose();
  t.equal(readings, 2, 'the next one is of another moment');
});
