// `headgate capture`: what it says of captures, and what it makes of them.
import { lstatSync, mkdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import t, { type Test } from 'tap';
import { capture as captureCommand } from '#src/cli/capture.js';
import { ByteStream } from '#test/support/bytes.js';
import { ended } from '#test/support/capture/captures-found.js';
import { missingProgram, testWith } from '#test/support/machine/capability.js';
import { echo, Origin } from '#test/support/peers/origin.js';
import { Peer } from '#test/support/peers/peer.js';
import { startConfigured } from '#test/support/programs/configured.js';
import { programPath } from '#test/support/programs/headgate.js';
import { runProgram } from '#test/support/programs/program.js';
import { temporaryDirectory } from '#test/support/programs/rig.js';

const timeout = { timeout: 60_000 };
const MIB = 1024 * 1024;

interface Listed {
  readonly id: string;
  readonly state: string;
  readonly listener: string;
  readonly incomplete?: string;
  readonly captured: { client: number; upstream: number };
  readonly [key: string]: unknown;
}

/** Runs `headgate capture ARGS…`. */
async function capture(...args: string[]): Promise<Buffer> {
  const program = [process.execPath, programPath, 'capture'];
  return (await runProgram([...program, ...args], 20_000)).stdout;
}

async function list(directory: string, ...args: string[]): Promise<Listed[]> {
  const lines = (await capture('list', directory, '--json', ...args)).toString().trim();
  return lines === '' ? [] : lines.split('\n').map((line) => JSON.parse(line));
}

t.test('capture: list, show and export', timeout, async (t) => {
  const home = temporaryDirectory(t);
  const directory = `${home}/c`;
  const origin = await Origin.listen('127.0.0.1:0', echo);
  t.teardown(() => origin.close());
  const { headgate, finish } = await startConfigured(t, {
    listeners: {
      a: {
        bind: '127.0.0.1:0',
        tcp: { upstream: 'u', capture: { directory, max_bytes: 4 * MIB } },
      },
    },
    upstreams: { u: { endpoints: [origin.address] } },
  });
  for (const length of [100, 3 * MIB]) {
    const peer = await Peer.connect(headgate.address);
    const stream = new ByteStream(length);
    await Promise.all([peer.sendStream(stream, length), peer.receiveStream(stream, length)]);
    peer.end();
    await peer.receiveEnd();
  }
  await ended(directory, 2, headgate);
  const [small, large] = await list(directory);
  t.same([small!.state, large!.state, large!.incomplete], ['complete', 'incomplete', 'max_bytes']);
  t.equal((await list(directory, '--incomplete', '--listener', 'a')).length, 1);
  t.equal((await list(directory, '--client', '127.0.0.1', '--since', '1h')).length, 2);
  t.equal((await list(directory, '--since', '2100-01-01')).length, 0);
  t.match(
    (await capture('list', directory)).toString(),
    /ID +LISTENER.*\n.*complete\n.*max_bytes\n$/,
  );
  const shown = (await capture('show', small!.id, '-d', directory)).toString();
  t.match(shown, /^id +\S+\nlistener +a\n/);
  t.match(shown, /> client {2}\+0\.\d{6}s {2}100 bytes\n {2}000000( {1,2}[0-9a-f]{2}){16} {2}/);
  const file = `${home}/out`;
  const exports = [
    'export',
    large!.id,
    '-d',
    directory,
    '--format',
    'raw',
    '--direction',
    'client',
  ];
  await capture(...exports, '-o', file);
  new ByteStream(3 * MIB).verify(readFileSync(file), 0);
  t.equal(readFileSync(file).length, large!.captured.client);
  t.equal(statSync(file).mode & 0o777, 0o600);
  await capture(...exports, '-o', file, '--force');
  const full = `${home}/full`;
  symlinkSync('/dev/full', full);
  await t.rejects(capture(...exports, '-o', full, '--force'), /ENOSPC/);
  t.ok(lstatSync(full).isSymbolicLink(), 'a link to a device stays');
  // In this process: a program takes half a second to start.
  for (const [args, problem] of [
    [['show', '../../etc/passwd', '-d', directory], /is not the id of a capture/],
    [['show', 'a-0-0', '-d', directory], /no capture "a-0-0"/],
    [['list', `${home}/nowhere`], /no directory/],
    [['export', small!.id, '-d', directory, '--format', 'raw'], /needs --direction/],
    [['export', small!.id, '-d', directory], /--format must be/],
    [['list', directory, '--since', 'soon'], /is no time/],
    [[...exports, '-o', file], /is there; --force replaces it/],
    [['list', '-c', `${home}/none.yaml`], /does not say/],
    [['rewind'], /expected list, show or export/],
  ] as const) {
    await t.rejects(captureCommand(args), problem);
  }
  await finish();
});

const families = {
  IPv4: '127.0.0.1:0',
  IPv6: '[::1]:0',
  unix: (t: Test) => `unix:${temporaryDirectory(t)}/s`,
};

for (const [family, bind] of Object.entries(families)) {
  testWith(
    missingProgram(['tshark']),
    `capture: Wireshark reads what is exported, ${family}`,
    timeout,
    async (t) => {
      const home = temporaryDirectory(t);
      const directory = `${home}/c`;
      const origin = await Origin.listen('127.0.0.1:0', echo);
      t.teardown(() => origin.close());
      const { headgate, finish } = await startConfigured(t, {
        listeners: {
          a: {
            bind: typeof bind === 'string' ? bind : bind(t),
            tcp: { upstream: 'u', capture: { directory } },
          },
        },
        upstreams: { u: { endpoints: [origin.address] } },
      });
      const peer = await Peer.connect(headgate.address);
      const stream = new ByteStream(8);
      // Odd numbers of bytes, and one that is spliced.
      const lengths = [1, 1459, 1461, 200_001, MIB];
      let sent = 0;
      for (const length of lengths) {
        await Promise.all([
          peer.sendStream(stream, length, undefined, sent),
          peer.receiveStream(stream, length, undefined, sent),
        ]);
        sent += length;
      }
      peer.end();
      await peer.receiveEnd();
      const [one] = await ended(directory, 1, headgate);
      const file = `${home}/flow.pcapng`;
      await capture('export', one!.head.id, '-d', directory, '--format', 'pcapng', '-o', file);
      const checks = ['-o', 'tcp.check_checksum:TRUE', '-o', 'ip.check_checksum:TRUE'];
      // Among random bytes Wireshark finds a protocol now and then.
      checks.push('-d', 'tcp.port==1-65535,data');
      const tshark = (...args: string[]) =>
        runProgram(['tshark', '-n', '-r', file, ...checks, ...args], 30_000);
      const wrong =
        '_ws.malformed || tcp.analysis.flags || tcp.checksum.status != "Good" || ip.checksum.status == "Bad"';
      t.equal((await tshark('-Y', wrong)).stdout.toString(), '', 'nothing to complain about');
      const ends = (await tshark('-Y', 'tcp.flags.syn==1 || tcp.flags.fin==1')).stdout.toString();
      t.equal(ends.trim().split('\n').length, 4, 'a beginning and an end');
      const [client, upstream] = followed((await tshark('-q', '-z', 'follow,tcp,raw,0')).stdout);
      stream.verify(client, 0);
      stream.verify(upstream, 0);
      t.same([client.length, upstream.length], [sent, sent]);
      await finish();
    },
  );
}

/** The first line of a record of a process that is gone. */
function recordHead() {
  return {
    format: 1,
    id: 'a-1',
    listener: 'a',
    protocol: 'tcp',
    client: '192.0.2.1:1000',
    local: '192.0.2.2:80',
    directions: 'both',
    start: new Date().toISOString(),
    process: '999999999-1',
  };
}

t.test('capture: what a client said of itself is no command to a terminal', async (t) => {
  const directory = temporaryDirectory(t);
  const said = { client: '192.0.2.1:1000\u009b2J', server_name: 'a\u001b]0;title\u0007' };
  const head = { ...recordHead(), ...said };
  writeFileSync(`${directory}/a-1.jsonl`, `${JSON.stringify(head)}\n["c",1,4]\n`);
  writeFileSync(`${directory}/a-1.client`, '\u001bc\r\n');
  const shown = (await capture('show', 'a-1', '-d', directory, '--text')).toString();
  t.match(shown, /^server_name +a\.]0;title\.$/m);
  t.match(shown, /^ {2}\.c$/m);
  const listed = (await capture('list', directory)).toString();
  for (const text of [shown, listed]) t.notMatch(text, /[^\P{C}\n]/u);
});

t.test('capture: an export for which there is no room is said, in one line', async (t) => {
  const directory = temporaryDirectory(t);
  const head = recordHead();
  const end = { end: head.start, duration_us: 2, client_bytes: 4, upstream_bytes: 0 };
  const lines = [JSON.stringify(head), '["c",1,4]', JSON.stringify(end), ''];
  writeFileSync(`${directory}/a-1.jsonl`, lines.join('\n'));
  writeFileSync(`${directory}/a-1.client`, 'GET ');
  const to = ['-o', '/dev/full', '--force'];
  for (const format of [['pcapng'], ['raw', '--direction', 'client']]) {
    const words = ['export', 'a-1', '-d', directory, '--format', ...format, ...to];
    const { message } = await capture(...words).then(
      () => new Error('it has ended well'),
      (error: Error) => error,
    );
    t.match(message, /exit 1\n\nheadgate capture export: .*ENOSPC.*\n$/, format[0]!);
  }
});

t.test('capture: a capture that cannot be read is said, in one line', async (t) => {
  const directory = temporaryDirectory(t);
  const head = {
    format: 1,
    id: 'a-1',
    listener: 'a',
    protocol: 'tcp',
    client: '192.0.2.1:99999',
    local: 'nowhere',
    directions: 'both',
    start: new Date().toISOString(),
    process: '999999999-1',
  };
  writeFileSync(`${directory}/a-1.jsonl`, `${JSON.stringify(head)}\n["c",1,4]\n`);
  mkdirSync(`${directory}/a-1.client`);
  const args = ['a-1', '-d', directory];
  for (const words of [
    ['show', ...args],
    ['export', ...args, '--format', 'pcapng'],
    ['export', ...args, '--format', 'raw', '--direction', 'client'],
  ]) {
    const { message } = await capture(...words).then(
      () => new Error('it has ended well'),
      (error: Error) => error,
    );
    t.match(message, /exit 1/);
    t.match(message, /headgate capture (show|export): EISDIR: /);
    t.notMatch(message, /\n {4}at /);
  }
});

/** What `follow,tcp,raw` says: a line of hex for each segment, behind a tab what the second end sent. */
function followed(output: Buffer): [Buffer, Buffer] {
  const sides: [string[], string[]] = [[], []];
  for (const line of output.toString().split('\n')) {
    const [, tab, hex] = /^(\t?)([0-9a-f]+)$/.exec(line) ?? [];
    if (hex !== undefined) sides[tab === '' ? 0 : 1].push(hex);
  }
  const [client, upstream] = sides.map((lines) => Buffer.from(lines.join(''), 'hex'));
  return [client!, upstream!];
}
