// A logger that keeps its lines.
import { type Logger, pino } from 'pino';

export type Line = Record<string, unknown> & { msg: string };

export function recordedLog(): { logger: Logger; lines: Line[] } {
  const lines: Line[] = [];
  const logger = pino(
    { level: 'debug', base: null, timestamp: false },
    { write: (line: string) => lines.push(JSON.parse(line) as Line) },
  );
  return { logger, lines };
}
