/**
 * A text as a terminal may have it: what it would take as a command is shown as a dot. What captures have is somebody
 * else's, their names included: a server name is what a client said.
 */
export function printable(text: string): string {
  return text.replace(/\p{C}/gu, '.');
}
