import type { Logger } from 'pino';
import { describe, type FoundEndpoint, toResolved } from './endpoint.js';
import { NameState } from './name-state.js';

/** As many addresses or targets are told in one line. */
const LOGGED_MAX = 16;

/** What the log hears about a name: a line when something changed, none per lookup. */
export class NameLog {
  private missing = '';

  constructor(
    private readonly name: string,
    private readonly logger: Logger,
  ) {}

  /** @param afterMs how long it was in the state before */
  entered(
    from: NameState,
    to: NameState,
    reason: string,
    afterMs: number,
    endpoints: number,
  ): void {
    const line = { name: this.name, from, to, reason, after_ms: Math.round(afterMs), endpoints };
    switch (to) {
      case NameState.fresh:
        this.logger.info(line, 'name resolved');
        return;
      case NameState.stale:
        this.logger.warn(line, 'name not renewed, the last good answer is kept');
        return;
      case NameState.absent:
        this.logger.warn(line, 'name does not resolve, it has no endpoints yet');
        return;
      case NameState.unknown:
      case NameState.stopped:
        return;
      default:
        to satisfies never;
    }
  }

  answered(before: readonly FoundEndpoint[], after: readonly FoundEndpoint[]): void {
    const [were, are] = [before.map(describeFound), after.map(describeFound)];
    const added = are.filter((endpoint) => !were.includes(endpoint));
    const removed = were.filter((endpoint) => !are.includes(endpoint));
    if (added.length + removed.length === 0) return;
    this.logger.info(
      {
        name: this.name,
        endpoints: are.length,
        added: added.slice(0, LOGGED_MAX),
        removed: removed.slice(0, LOGGED_MAX),
      },
      'endpoints of a name changed',
    );
  }

  /** Says once what part of a good answer is an old one, and once that it is whole again. */
  missed(missing: readonly string[]): void {
    const text = missing.slice(0, LOGGED_MAX).join(', ');
    if (text === this.missing) return;
    this.missing = text;
    if (text === '') this.logger.info({ name: this.name }, 'all of a name resolves again');
    else this.logger.warn({ name: this.name, missing: text }, 'part of a name does not resolve');
  }
}

/** A host's endpoints have no port of their own. */
function describeFound(found: FoundEndpoint): string {
  return found.port === undefined ? found.ip : describe(toResolved(found, found.port));
}
