// The recorded ClientHellos of client-hello/, with what their clients were asked for.
import { readdirSync, readFileSync } from 'node:fs';

export interface RecordedHello {
  readonly name: string;
  readonly client: string;
  readonly serverName: string | undefined;
  readonly alpn: readonly string[];
  readonly version: number;
  readonly isEncrypted: boolean;
  readonly bytes: Buffer;
}

// Tests run compiled, from build/test; the recordings stay where they are.
const folder = new URL('../../../test/corpus/client-hello/', import.meta.url);

export function recordedHellos(): RecordedHello[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.hex'))
    .map((file) => {
      const lines = readFileSync(new URL(file, folder), 'utf8').split('\n');
      const says = new Map(
        lines.flatMap((line) => {
          const [, key, value] = /^# (\w+): ?(.*)$/.exec(line) ?? [];
          return key === undefined ? [] : [[key, value!]];
        }),
      );
      const hex = lines.filter((line) => !line.startsWith('#')).join('');
      return {
        name: file.replace('.hex', ''),
        client: says.get('client') ?? '',
        serverName: says.get('server_name') || undefined,
        alpn: says.get('alpn') ? says.get('alpn')!.split(' ') : [],
        version: Number.parseInt(says.get('version') ?? '', 16),
        isEncrypted: says.get('encrypted') === 'yes',
        bytes: Buffer.from(hex, 'hex'),
      };
    });
}
