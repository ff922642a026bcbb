// The web server behind the proxies for uploads: it reads a body to its end before it answers, which nginx does not.
import { fileURLToPath } from 'node:url';
import { isListening } from '../loopback.js';
import { type Child, startUntil } from '../process.js';

const program = fileURLToPath(new URL('upload-origin-program.js', import.meta.url));

export function startUploadOrigin(port: number, cpus: string | undefined): Promise<Child> {
  return startUntil(
    () => isListening(port),
    { program: process.execPath, args: [program, String(port)], cpus },
    5_000,
  );
}
