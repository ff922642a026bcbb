// TLS in the kernel beside TLS in userland, by what does not depend on the machine's speed: system calls, and bytes that
// enter the process. Where this kernel has no TLS, a kernel that has it is booted as a process for the benchmark.
import { fileURLToPath } from 'node:url';
import { tlsMachine } from '#test/support/machine/tls-machine.js';

const program = fileURLToPath(new URL('kernel-tls-program.js', import.meta.url));
const timeoutMs = 300_000;

const usage = `usage: npm run bench -- kernel-tls

Prints a table for each scenario. Needs strace, nginx and openssl, and a kernel with TLS: this one's (modprobe tls), or
user-mode Linux (Debian: user-mode-linux, kmod, iproute2).`;

export async function run(args: string[]): Promise<number> {
  if (args.length > 0) {
    console.log(usage);
    return args.includes('--help') ? 0 : 2;
  }
  const machine = tlsMachine();
  if (typeof machine === 'string') {
    console.error(machine);
    return 1;
  }
  console.error(`in ${machine.name}`);
  const [finished] = await machine.run([program], timeoutMs);
  console.log(finished!.output);
  return finished!.status === 0 ? 0 : 1;
}
