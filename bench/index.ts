// Benchmarks beside real peers: `npm run bench -- SUITE [options]`.
// A suite is one file here that exports `run(args)` and answers with an exit code; peers/ are the proxies
// compared, load/ is what drives them, rounds.ts interleaves the measurements, report.ts prints them.

interface Suite {
  summary: string;
  load(): Promise<{ run(args: string[]): Promise<number> }>;
}

const suites: Record<string, Suite> = {
  l4: {
    summary: 'TCP forwarding: bulk, small requests, new connections, idle memory',
    load: () => import('./l4.js'),
  },
  l7: {
    summary: 'Reverse proxying of HTTP: small requests, connections, bodies, routes, WebSocket',
    load: () => import('./l7.js'),
  },
  tls: {
    summary: 'TLS termination: handshakes, resumed ones, bulk, small requests',
    load: () => import('./tls.js'),
  },
  files: {
    summary: 'Static files of 1 KiB to 1 GiB, in the clear and over TLS',
    load: () => import('./files.js'),
  },
  mirror: {
    summary: 'Mirroring: what a shadow costs, and one that takes nothing',
    load: () => import('./mirror.js'),
  },
  capture: {
    summary: 'Capturing: what it costs those who are captured, in memory and on a disk',
    load: () => import('./capture.js'),
  },
  'kernel-tls': {
    summary:
      'TLS in the kernel and in userland: system calls and bytes that enter the process, per MB',
    load: () => import('./kernel-tls.js'),
  },
  heads: {
    summary: 'The HTTP parser alone: nanoseconds for a head',
    load: () => import('./heads.js'),
  },
  primitives: {
    summary: 'The calls of headgate/splice alone: system calls and processor time per MB',
    load: () => import('./primitives.js'),
  },
};

const [name, ...args] = process.argv.slice(2);
const suite = name !== undefined && Object.hasOwn(suites, name) ? suites[name] : undefined;

if (suite) {
  const { run } = await suite.load();
  process.exitCode = await run(args);
} else {
  if (name !== undefined) console.error(`no suite named ${name}`);
  console.error(
    'usage: npm run bench -- SUITE [options]; each suite explains its own with --help\n',
  );
  for (const [known, { summary }] of Object.entries(suites)) {
    console.error(`  ${known.padEnd(12)}${summary}`);
  }
  process.exitCode = 2;
}
