/**
 * A server_name as names are compared: clients may send it in any case (RFC 6066 §3), and some with the dot of the root,
 * which makes no other name.
 */
export function spellServerName(sent: string): string {
  const name = sent.toLowerCase();
  return name.endsWith('.') ? name.slice(0, -1) : name;
}
