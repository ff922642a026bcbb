import { type ParseArgsConfig, parseArgs } from 'node:util';
import { closestWord } from '../config/index.js';

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
    const message = (error as Error).message.replace(/\. .*$/s, '');
    throw new UsageError(`${message}${meantOption(message, Object.keys(options))}`);
  }
}

/** @param message of parseArgs; only one that quotes a long option nobody knows has an answer */
function meantOption(message: string, known: readonly string[]): string {
  const word = /^Unknown option '--([^']+)'/.exec(message)?.[1];
  const meant = word === undefined ? null : closestWord(word, known);
  return meant === null ? '' : `, did you mean --${meant}?`;
}
