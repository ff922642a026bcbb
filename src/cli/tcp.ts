import { forwardConfig, forwardHelp, forwardOptions } from './forward-options.js';
import { parseOptions } from './options.js';
import { serve } from './serve.js';

const usage = `headgate tcp LISTEN UPSTREAM [options]

Forwards every connection to LISTEN on to UPSTREAM. Addresses: 127.0.0.1:5432, [::1]:5432, *:5432
(all, both families), unix:/path, unix:@abstract; port 0 lets the kernel choose. UPSTREAM may be a
name, db.example.com:5432 or srv:_pg._tcp.example.com.

${forwardHelp}`;

export async function tcp(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, forwardOptions);
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  return serve(forwardConfig('tcp', positionals, values));
}
