import { captureExport } from './capture-export.js';
import { captureList } from './capture-list.js';
import { captureShow } from './capture-show.js';
import { UsageError } from './options.js';

const usage = `headgate capture list   [DIR] [--listener NAME] [--client ADDRESS] [--since TIME] [--incomplete] [--json]
headgate capture show   ID [--chunks N] [--bytes N] [--text]
headgate capture export ID --format raw|pcapng [--direction client|upstream|both] [-o FILE] [--force]

Looks at what listeners with "capture" have written.

  -d, --directory DIR   where; by default the directories of the configuration
  -c, --config FILE     the configuration, headgate.yaml by default

list
      --listener NAME   of that listener
      --client ADDRESS  of that client, an address or an address with a port
      --since TIME      begun since then: 2026-01-31T12:00:00Z, or 30s, 15m, 2h, 7d ago
      --incomplete      that lack something, or have not ended
      --json            one JSON object a line

show
      --chunks N        so many chunks (20)
      --bytes N         so many bytes of each (256)
      --text            as text instead of a hex dump

export
      --format FORMAT   raw: the bytes of one direction; pcapng: packets, for Wireshark
      --direction WHICH for raw, which one; for pcapng both unless said
  -o, --output FILE     instead of standard output; must not be there yet
      --force           replace FILE
`;

const commands = { list: captureList, show: captureShow, export: captureExport } as const;

export async function capture(args: readonly string[]): Promise<number> {
  const [name, ...rest] = args;
  if (args.includes('--help') || args.includes('-h')) {
    process.stdout.write(usage);
    return 0;
  }
  if (name === undefined || !Object.hasOwn(commands, name)) {
    throw new UsageError(`expected list, show or export\n\n${usage.trimEnd()}`);
  }
  try {
    return await commands[name as keyof typeof commands](rest);
  } catch (error) {
    // A capture may be deleted while it is read, by the rotation for instance, and a disk may be broken.
    if (!(error instanceof Error) || !('syscall' in error)) throw error;
    process.stderr.write(`headgate capture ${name}: ${error.message}\n`);
    return 1;
  }
}
