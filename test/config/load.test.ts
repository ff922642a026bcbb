import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import t from 'tap';
import { formatProblem, type Loaded, loadConfig, readConfig } from '#src/config/index.js';
import { ENDPOINT_SLOTS, LISTENERS_MAX, upstreamDefaults } from '#src/proxy/index.js';

const minimal = `listeners:
  web: { bind: "127.0.0.1:80", tcp: { upstream: app } }
upstreams:
  app: { demo: true }
`;

function messages(loaded: Loaded): string[] {
  return loaded.ok ? [] : loaded.problems.map(formatProblem);
}

t.test('load: everything left out has its default', async (t) => {
  t.strictSame(loadConfig(minimal), {
    ok: true,
    config: {
      admin: null,
      workers: 'auto',
      pinWorkers: false,
      ioUring: true,
      user: null,
      group: null,
      noNewPrivs: false,
      log: { level: 'info', access: true, accessFile: null, format: 'auto' },
      timeouts: {
        connectMs: 5000,
        headMs: 10_000,
        idleMs: 300_000,
        requestMs: 0,
        responseMs: 0,
        tunnelMs: 300_000,
        keepAliveMs: 60_000,
        tlsHandshakeMs: 10_000,
        drainMs: 30_000,
      },
      limits: {
        connectionsMax: 20_000,
        pipeMemoryBytes: 64 * 2 ** 20,
        headBytes: 32 * 1024,
        headers: 100,
        cachedFiles: 1024,
      },
      listeners: [
        {
          name: 'web',
          bind: [{ family: 'inet', host: '127.0.0.1', port: 80, text: '127.0.0.1:80' }],
          backlog: 4096,
          allow: [],
          deny: [],
          limits: { connectionsMax: null, connectionsPerSourceMax: null },
          socket: {
            nodelay: true,
            congestionControl: 'auto',
            keepalive: null,
            userTimeoutMs: null,
            fastOpen: 0,
            deferAcceptSeconds: 0,
            transparent: false,
            mode: null,
            owner: null,
            group: null,
          },
          acceptProxyFrom: [],
          tcp: { routes: [{ serverNames: [], alpn: null, upstream: 'app' }], mirror: null },
          http: null,
          capture: null,
          tls: null,
        },
      ],
      upstreams: [
        {
          name: 'app',
          endpoints: [],
          demo: true,
          balance: 'round_robin',
          active: null,
          passive: upstreamDefaults.passive,
          panicThreshold: upstreamDefaults.panicThreshold,
          slowStartMs: 0,
          socket: {
            congestionControl: 'auto',
            keepalive: null,
            userTimeoutMs: null,
            source: null,
            fastOpen: false,
          },
          sendProxyProtocol: null,
          tls: null,
          connections: {
            perEndpoint: null,
            queue: upstreamDefaults.queueMax,
            queueTimeoutMs: upstreamDefaults.queueTimeoutMs,
            idle: upstreamDefaults.idleMax,
            idleTimeoutMs: upstreamDefaults.idleTimeoutMs,
          },
        },
      ],
    },
  });
});

t.test('load: everything said is in the configuration', async (t) => {
  const text = `
workers: 4
pin_workers: true
io_uring: false
log: { level: silent, access: false, format: json }
timeouts: { connect: 500ms, head: 3s, idle: 1h, drain: 2m }
limits: { connections: 7, pipe_memory: 2097152 }
listeners:
  b: { bind: ["*:1", "unix:@b"], backlog: 9, tcp: { upstream: y } }
  a: { bind: "127.0.0.1:2", tcp: { upstream: x } }
upstreams:
  y: { endpoints: ["127.0.0.1:3", "unix:/y"] }
  x: { demo: true }
`;
  const loaded = loadConfig(text);
  if (!loaded.ok) return t.fail(messages(loaded).join('\n'));
  const { config } = loaded;
  t.match(config, {
    workers: 4,
    pinWorkers: true,
    ioUring: false,
    log: { level: 'silent', access: false, accessFile: null, format: 'json' },
    timeouts: {
      connectMs: 500,
      headMs: 3000,
      idleMs: 3_600_000,
      tunnelMs: 3_600_000,
      keepAliveMs: 60_000,
      tlsHandshakeMs: 10_000,
      drainMs: 120_000,
    },
    limits: { connectionsMax: 7, pipeMemoryBytes: 2 ** 21, headBytes: 32 * 1024, headers: 100 },
  });
  t.strictSame(
    config.listeners.map(({ name, bind, backlog, tcp }) => [
      name,
      bind.map((address) => address.text).join(),
      backlog,
      tcp?.routes[0]?.upstream,
    ]),
    [
      ['b', '*:1,unix:@b', 9, 'y'],
      ['a', '127.0.0.1:2', 4096, 'x'],
    ],
    'in the order of the file',
  );
  t.strictSame(
    config.upstreams.map(({ name, endpoints, demo }) => [name, endpoints.length, demo]),
    [
      ['y', 2, false],
      ['x', 0, true],
    ],
  );
});

t.test('load: the configuration is plain data, for threads and for JSON', async (t) => {
  const loaded = loadConfig(minimal);
  if (!loaded.ok) return t.fail(messages(loaded).join('\n'));
  t.strictSame(structuredClone(loaded.config), loaded.config);
  t.strictSame(JSON.parse(JSON.stringify(loaded.config)), loaded.config);
});

t.test('load: JSON is YAML', async (t) => {
  const file = {
    listeners: { tcp: { bind: '*:0', tcp: { upstream: 'one' } } },
    upstreams: { one: { endpoints: ['127.0.0.1:80'] } },
  };
  t.equal(loadConfig(JSON.stringify(file)).ok, true);
});

t.test('load: names that JavaScript knows are names like others', async (t) => {
  const text = minimal.replaceAll('app', 'constructor').replace('web', 'toString');
  const loaded = loadConfig(text);
  t.equal(loaded.ok && loaded.config.upstreams[0]?.name, 'constructor');
  t.strictSame(messages(loadConfig(minimal.replace('upstream: app', 'upstream: constructor'))), [
    'headgate.yaml:2:49: listeners.web.tcp.upstream is "constructor": not a key of upstreams, expected app',
  ]);
});

t.test('load: byte order mark and CRLF move no position', async (t) => {
  const expected = ['f:2:10: workers is 0, expected auto or a whole number from 1 to 256'];
  const text = `# first\nworkers: 0\n${minimal}`;
  const forms = [text, `\uFEFF${text}`, text.replaceAll('\n', '\r\n')];
  for (const form of forms) t.strictSame(messages(loadConfig(form, { file: 'f' })), expected);
});

t.test('load: variables come from the process unless told otherwise', async (t) => {
  process.env.HEADGATE_TEST_WORKERS = '3';
  const text = `workers: \${HEADGATE_TEST_WORKERS}\n${minimal}`;
  const loaded = loadConfig(text);
  t.equal(loaded.ok && loaded.config.workers, 3);
  t.equal(loadConfig(text, { env: {} }).ok, false);
  t.equal(loadConfig(`workers: \${toString}\n${minimal}`, { env: {} }).ok, false);
});

t.test('load: a file too long is refused unread', async (t) => {
  t.strictSame(messages(loadConfig('#'.repeat(2 ** 20 + 1), { file: 'f' })), [
    'f:1:1: the file has 1048577 characters, expected at most 1048576',
  ]);
});

t.test('load: no nesting exhausts the stack', async (t) => {
  const nests = ['[', '{', '- ', '? ', '{ <<: ', '[ {a: ', 'a: [', '&a [*a, '];
  for (const nest of nests) {
    for (const depth of [99, 101, 500, 1000, 100_000]) {
      const loaded = loadConfig(nest.repeat(depth), { env: {} });
      t.equal(loaded.ok, false, `${nest} ${depth} times`);
    }
  }
  const stairs = Array.from({ length: 1000 }, (_, depth) => `${' '.repeat(depth)}a:\n`).join('');
  t.strictSame(messages(loadConfig(stairs, { file: 'f' })), [
    'f:100:101: nested more than 100 deep, expected a few levels',
  ]);
  const env = { DEEP: '['.repeat(100_000) };
  t.equal(loadConfig(`workers: \${DEEP}\n${minimal}`, { env }).ok, false);
});

t.test('load: aliases of aliases are no deeper than what is written', async (t) => {
  const lines = ['a0: &a0 [x]'];
  for (let i = 1; i < 200; i += 1) lines.push(`a${i}: &a${i} [*a${i - 1}]`);
  t.match(messages(loadConfig(lines.join('\n'))).join('\n'), /nested more than 100 deep/);
});

t.test('load: merges of merges stay small', async (t) => {
  const lines = ['m0: &m0 { k: 1 }'];
  for (let i = 1; i < 60; i += 1) lines.push(`m${i}: &m${i} { <<: [*m${i - 1}, *m${i - 1}] }`);
  t.equal(loadConfig(lines.join('\n')).ok, false);
});

t.test('read: a file is loaded, and problems bear its name', async (t) => {
  const directory = t.testdir({
    'good.yaml': minimal,
    'bad.yaml': 'workers: 1\n',
    'empty.yaml': '',
  });
  t.equal(readConfig(`${directory}/good.yaml`).ok, true);
  t.strictSame(messages(readConfig(`${directory}/bad.yaml`)), [
    `${directory}/bad.yaml:1:1: the file has no "listeners", expected a mapping of names`,
  ]);
  t.strictSame(messages(readConfig(`${directory}/empty.yaml`)), [
    `${directory}/empty.yaml:1:1: the file is empty, expected a mapping (key: value)`,
  ]);
});

t.test('read: what is no readable file is a problem at its beginning', async (t) => {
  const directory = t.testdir({
    'latin1.yaml': Buffer.from('log: { level: caf\xe9 }\n', 'latin1'),
  });
  mkdirSync(`${directory}/folder`);
  writeFileSync(`${directory}/utf16.yaml`, Buffer.from(`\uFEFF${minimal}`, 'utf16le'));
  const expected = {
    folder: 'this is a directory, expected a file',
    'none.yaml': 'there is no such file, expected a configuration',
    'none.yaml/file': 'there is no such file, expected a configuration',
    'latin1.yaml': 'the file is not UTF-8, expected UTF-8 text',
    'utf16.yaml': 'the file is not UTF-8, expected UTF-8 text',
    'latin1.yaml/file': "the file can't be read: not a directory",
    'nul\0.yaml': /^the file can't be read: /,
  };
  for (const [name, message] of Object.entries(expected)) {
    const file = `${directory}/${name}`;
    t.match(readConfig(file), { ok: false, problems: [{ file, line: 1, column: 1, message }] });
  }
});

t.test('read: a pipe is read to its end, and one that says nothing is given up', async (t) => {
  const directory = t.testdir({ 'good.yaml': minimal });
  const fifo = `${directory}/fifo`;
  execFileSync('mkfifo', [fifo]);
  const message = 'nothing came out of the pipe for 1 s, expected a configuration';
  t.strictSame(messages(readConfig(fifo)), [`${fifo}:1:1: ${message}`]);
  // Bytes that come slowly, after the reader: what process substitution makes.
  const script = '(head -c 20; sleep 0.2; cat) < "$1" > "$2"';
  const writer = spawn('sh', ['-c', script, 'sh', `${directory}/good.yaml`, fifo]);
  t.teardown(() => writer.kill());
  t.strictSame(readConfig(fifo), readConfig(`${directory}/good.yaml`));
});

t.test('read: what has no end, or is too long, is not read to it', async (t) => {
  const directory = t.testdir({ 'long.yaml': '#'.repeat(4 * 1024 * 1024 + 1) });
  t.strictSame(messages(readConfig('/dev/zero')), [
    '/dev/zero:1:1: no end after 4194304 bytes, expected a configuration',
  ]);
  t.strictSame(messages(readConfig(`${directory}/long.yaml`)), [
    `${directory}/long.yaml:1:1: the file has 4194305 bytes, expected at most 4194304`,
  ]);
});

t.test('load: a long value costs time in proportion, and a message has its ends', async (t) => {
  const name = 'x'.repeat(500_000);
  const text = `listeners: { a: { bind: "127.0.0.1:0", tcp: { upstream: u } } }
upstreams: { u: { endpoints: [${name}] } }`;
  const [message] = messages(loadConfig(text)) as [string];
  t.match(
    message,
    /^headgate.yaml:2:31: upstreams.u.endpoints\[0\] is "x+…: no port, expected x+…x+:port$/,
  );
  t.ok(message.length < 1_000, 'not half a megabyte');
  const path = `listeners: { a: { bind: "127.0.0.1:0", http: { routes: [
  { match: { path: /${name} }, respond: {} }, { match: { path: /${name}* }, respond: {} } ] } } }`;
  t.strictSame(messages(loadConfig(path)), []);
});

t.test('load: there are no more listeners and endpoints than there is room for', async (t) => {
  t.same([LISTENERS_MAX, ENDPOINT_SLOTS], [256, 4096], 'what the messages and the schema say');
  const count = (length: number, item: (index: number) => string) =>
    Array.from({ length }, (_, index) => item(index)).join(', ');
  const file = (listeners: number, endpoints: number) =>
    `listeners: { ${count(listeners, (index) => `l${index}: { bind: "127.0.0.1:0", tcp: { upstream: u } }`)} }
upstreams: { u: { endpoints: [${count(endpoints, (index) => `"127.0.0.1:${index + 1}"`)}] } }`;
  t.strictSame(messages(loadConfig(file(256, 4095))), []);
  t.strictSame(messages(loadConfig(file(257, 4096))), [
    'headgate.yaml:1:1: listeners has 257 listeners, expected at most 256',
    'headgate.yaml:2:1: upstreams has 4097 upstreams and endpoints, expected at most 4096',
  ]);
});
