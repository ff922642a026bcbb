import { HeaderName } from './header-name.js';
import type { MessageHead } from './message-head.js';

/** Names of the protocols that Upgrade lists (RFC 9110 §7.8): lower case, without their versions. */
export function upgradeProtocols(head: MessageHead): string[] {
  const protocols: string[] = [];
  for (
    let at = head.find(HeaderName.upgrade);
    at >= 0;
    at = head.find(HeaderName.upgrade, at + 1)
  ) {
    for (const protocol of head.value(at).toLowerCase().split(',')) {
      const name = protocol.split('/', 1)[0]!.trim();
      if (name !== '') protocols.push(name);
    }
  }
  return protocols;
}
