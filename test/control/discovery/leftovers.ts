// The check that ends tests of the control thread: no timer, socket or query is left behind.
import { until } from '#test/support/deadline.js';
import { descriptors } from '#test/support/machine/descriptors.js';

/** One entry for each timer, handle and request under way, and for each open socket. */
export type Resources = readonly string[];

/** c-ares' sockets are none of Node's handles: only the descriptors show them. */
export function resources(): Resources {
  const sockets = new Array<string>(descriptors().socket ?? 0).fill('socket');
  return [...process.getActiveResourcesInfo(), ...sockets];
}

/**
 * Waits until nothing is there that was not there `before`.
 * @throws DeadlineExceeded with what is left
 */
export async function expectNothingLeft(before: Resources): Promise<void> {
  await until(
    1_500,
    'nothing is left behind',
    () => surplus(before).length === 0,
    () => `left: ${surplus(before).join(', ')}`,
  );
}

function surplus(before: Resources): string[] {
  const known = [...before];
  return resources().filter((resource) => {
    const index = known.indexOf(resource);
    if (index >= 0) known.splice(index, 1);
    return index < 0;
  });
}
