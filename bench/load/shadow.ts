// The upstream that mirrored bytes go to: one that takes whatever comes, or one that takes nothing.
import { fileURLToPath } from 'node:url';
import { isListening } from '../loopback.js';
import { type Child, startUntil } from '../process.js';

const program = fileURLToPath(new URL('shadow-program.js', import.meta.url));

export type ShadowMode = 'fast' | 'stuck';

export function startShadow(
  port: number,
  mode: ShadowMode,
  cpus: string | undefined,
): Promise<Child> {
  return startUntil(
    () => isListening(port),
    { program: process.execPath, args: [program, String(port), mode], cpus },
    5_000,
  );
}
