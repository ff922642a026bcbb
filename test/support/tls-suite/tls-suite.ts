// What the cases of test/tls-suite are made of: a whole proxy in the test's own process, with TLS ended or begun where
// the place says (tls-place.ts), and the assertions that follow every case.
import { existsSync, readFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { type Headgate, type Statistics, start } from '#src/index.js';
import { addressOf, echoOrigin } from '../control/live-proxy.js';
import { until } from '../deadline.js';
import { testWith } from '../machine/capability.js';
import { descriptors } from '../machine/descriptors.js';
import type { FlowLine, LogLine } from '../programs/headgate.js';
import { temporaryDirectory } from '../programs/rig.js';
import { authority, certificate, dial, everything, kit } from '../tls/tls-kit.js';
import { place } from './tls-place.js';

interface Section {
  readonly tls?: object;
  readonly [key: string]: unknown;
}

/** What a case says of its proxy; the rest is the same for all. */
export interface SuiteConfig {
  /** 1 unless said. */
  readonly workers?: number;
  /** Bound to a free port of 127.0.0.1. */
  readonly listeners: Readonly<Record<string, Section>>;
  readonly upstreams: Readonly<Record<string, Section>>;
  readonly timeouts?: object;
}

/** A proxy of a case. */
export class SuiteProxy {
  private constructor(
    private readonly headgate: Headgate,
    private readonly config: SuiteConfig,
    private readonly accessFile: string,
  ) {}

  static async start(t: Test, config: SuiteConfig): Promise<SuiteProxy> {
    const accessFile = `${temporaryDirectory(t)}/access.log`;
    const headgate = await start(textOf(config, accessFile));
    t.teardown(() => headgate.close());
    return new SuiteProxy(headgate, config, accessFile);
  }

  get workers(): number {
    return this.config.workers ?? 1;
  }

  get port(): number {
    return this.portOf('in');
  }

  portOf(listener: string): number {
    return Number(/:(\d+)$/.exec(addressOf(this.headgate, listener))![1]);
  }

  stats(): Statistics {
    return this.headgate.stats();
  }

  /** Access lines so far, oldest first: `flow` for connections, `request` for requests. */
  lines(kind: 'flow' | 'request' = 'flow'): FlowLine[] {
    if (!existsSync(this.accessFile)) return [];
    const whole = readFileSync(this.accessFile, 'utf8').split('\n').slice(0, -1);
    return whole
      .map((line) => JSON.parse(line) as LogLine)
      .filter(({ msg }) => msg === kind) as FlowLine[];
  }

  /** The lines so far, once there are so many. */
  async linesOf(count: number, kind: 'flow' | 'request' = 'flow'): Promise<FlowLine[]> {
    const enough = () => this.lines(kind).length >= count;
    await until(5_000, `${count} access lines`, enough, () => JSON.stringify(this.lines(kind)));
    return this.lines(kind);
  }

  /** Reads everything anew that the configuration names: certificates, keys of tickets. */
  async reload(config: SuiteConfig = this.config): Promise<void> {
    const result = await this.headgate.reload(textOf(config, this.accessFile));
    if (!result.ok) throw new Error(JSON.stringify(result));
  }

  /** Waits until nothing is under way, and stops. @returns what was counted in all */
  async finish(t: Test): Promise<Statistics> {
    const isQuiet = () => this.stats().totals.flows_active === 0;
    await until(5_000, 'every flow ends', isQuiet).catch((error) => t.fail(error));
    const statistics = this.stats();
    await this.headgate.close();
    const { totals, workers } = statistics;
    t.match({ ...totals, ...workers }, { exceptions: 0, pipes_in_use: 0, deaths: 0 });
    return statistics;
  }
}

function textOf({ listeners, upstreams, ...more }: SuiteConfig, accessFile: string): string {
  const withKernel = ({ tls, ...section }: Section) =>
    tls === undefined ? section : { ...section, tls: { kernel: place.kernel, ...tls } };
  const each = (sections: SuiteConfig['listeners'], common: object) =>
    Object.fromEntries(
      Object.entries(sections).map(([name, section]) => [
        name,
        { ...common, ...withKernel(section) },
      ]),
    );
  // JSON is YAML.
  return JSON.stringify({
    workers: 1,
    log: { level: 'silent', access: { file: accessFile } },
    ...more,
    listeners: each(listeners, { bind: '127.0.0.1:0' }),
    upstreams: each(upstreams, {}),
  });
}

// Of all cases of a file together; each has a shorter one of its own.
t.setTimeout(300_000);

/** What a case is given besides its `t`. */
export interface Suite {
  readonly start: (config: SuiteConfig) => Promise<SuiteProxy>;
}

/** Node's machinery for threads opens its descriptors with the first one, and so does OpenSSL with a handshake. */
let isWarm = false;

async function warmUp(t: Test): Promise<void> {
  if (isWarm) return;
  isWarm = true;
  const origin = await echoOrigin(t);
  const proxy = await SuiteProxy.start(t, {
    listeners: { in: { tls: servedTls(), tcp: { upstream: 'one' } } },
    upstreams: { one: { endpoints: [origin.address] } },
  });
  const socket = await dial(proxy.port);
  socket.end();
  await everything(socket);
  await proxy.finish(t);
  origin.close();
}

/**
 * A case of the suite. After it, flows are over, descriptors closed, nothing was thrown, and the records were where
 * the place has them.
 * @param missing the reason for a skip, as from `missingProgram`
 */
export function suiteTest(
  missing: string | undefined,
  name: string,
  options: { timeout: number },
  body: (t: Test, suite: Suite) => Promise<void>,
): void {
  testWith(missing, `${name} (${place.name})`, options, async (t) => {
    await warmUp(t);
    const before = JSON.stringify(descriptors());
    // Its teardowns are over when it is.
    await t.test('the case', async (t) => {
      const check = place.watch();
      const proxies: SuiteProxy[] = [];
      const start = async (config: SuiteConfig) => {
        const proxy = await SuiteProxy.start(t, config);
        proxies.push(proxy);
        return proxy;
      };
      await body(t, { start });
      const runs = [];
      for (const proxy of proxies) {
        runs.push({ statistics: await proxy.finish(t), workers: proxy.workers });
      }
      check(t, runs);
    });
    const isAsBefore = () => JSON.stringify(descriptors()) === before;
    await until(3_000, 'descriptors are as before', isAsBefore).catch(() => {});
    t.equal(JSON.stringify(descriptors()), before, 'no descriptor is left open');
  });
}

let files = 0;

/** Writes a certificate with its key. @returns what a configuration says of it */
export function served(names: readonly string[] = ['a.test'], key?: string): { cert: string } {
  authority();
  const { chain, key: pem } = certificate(names, key);
  files += 1;
  return { cert: kit.write(`served-${files}.pem`, chain + pem) };
}

/** A listener's `tls`: a certificate for a.test of either kind, ECDSA and RSA. */
export function servedTls(more: object = {}): object {
  return { certificates: [served(), served(['a.test'], 'rsa:2048')], ...more };
}

/** What a client is asked to agree on. */
export interface Agreement {
  readonly version: 'TLSv1.2' | 'TLSv1.3';
  readonly cipher: string;
  /** Of the certificate. */
  readonly key: 'ECDSA' | 'RSA';
}

export const versions = ['TLSv1.2', 'TLSv1.3'] as const;
export type Version = (typeof versions)[number];

/** Every cipher of every version, with every key. */
export const combinations: readonly Agreement[] = [
  ...['AES128-GCM-SHA256', 'AES256-GCM-SHA384', 'CHACHA20-POLY1305'].flatMap((name) =>
    (['ECDSA', 'RSA'] as const).map((key) => ({
      ...({ version: 'TLSv1.2', cipher: `ECDHE-${key}-${name}`, key } as const),
    })),
  ),
  ...['TLS_AES_128_GCM_SHA256', 'TLS_AES_256_GCM_SHA384', 'TLS_CHACHA20_POLY1305_SHA256'].flatMap(
    (cipher) =>
      (['ECDSA', 'RSA'] as const).map((key) => ({ version: 'TLSv1.3', cipher, key }) as const),
  ),
];

/** Every cipher of every version, once. */
export const ciphers = combinations.filter(({ key }) => key === 'ECDSA');

/** Signature algorithms that make a server with both keys take one. */
export const signatures = { ECDSA: 'ecdsa_secp256r1_sha256', RSA: 'rsa_pss_rsae_sha256' } as const;
