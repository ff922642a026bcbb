import { forwardConfig, forwardHelp, forwardOptions } from './forward-options.js';
import { parseOptions } from './options.js';
import { serve } from './serve.js';

const usage = `headgate http LISTEN UPSTREAM [options]

Forwards every HTTP request to LISTEN on to UPSTREAM, which is told of the client by X-Forwarded-For,
-Proto and -Host. Addresses: 127.0.0.1:8080, [::1]:8080, *:8080 (all, both families), unix:/path,
unix:@abstract; port 0 lets the kernel choose. UPSTREAM may be a name, app.example.com:3000 or
srv:_http._tcp.example.com.

${forwardHelp}`;

export async function http(args: readonly string[]): Promise<number> {
  const { values, positionals } = parseOptions(args, forwardOptions);
  if (values.help) {
    process.stdout.write(usage);
    return 0;
  }
  return serve(forwardConfig('http', positionals, values));
}
