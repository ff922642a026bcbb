import { type ParseArgsConfig, parseArgs } from 'node:util';

/** A command line that cannot be understood; the message is one line for people. */
export class UsageError extends Error {}

type Options = NonNullable<ParseArgsConfig['options']>;

/**
 * Reads a subcommand's arguments strictly.
 *
 * @throws UsageError for an option that does not exist or lacks its value
 */
export function parseOptions<O extends Options>(
  args: readonly string[],
  options: O,
): ReturnType<typeof parseArgs<{ options: O; strict: true; allowPositionals: true }>> {
  try {
    return parseArgs({ args: [...args], options, strict: true, allowPositionals: true });
  } catch (error) {
    // parseArgs explains "--" at length; its first sentence is what matters.
    throw new UsageError((error as Error).message.replace(/\. .*$/s, ''));
  }
}
