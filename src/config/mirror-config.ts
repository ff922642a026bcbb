import { parseDuration, parseSize, parseTemplate, type Template, valid } from './values/index.js';

/** `mirror` as the file says it, defaults filled in. */
type MirrorFile =
  | string
  | {
      upstream: string;
      sample: number;
      concurrent: number;
      buffer: string | number;
      timeout: string;
      host?: string;
    };

/** Where a copy goes; null: nowhere. */
export type MirrorConfig = ReturnType<typeof toMirror>;

/** A mirror of which nothing was said but where it goes. */
const DEFAULTS = { sample: 1, concurrent: 1024, buffer: '4MiB', timeout: '10s' };

export function toMirror(file: MirrorFile | undefined) {
  if (file === undefined) return null;
  const { upstream, sample, concurrent, buffer, timeout, host } =
    typeof file === 'string' ? { ...DEFAULTS, upstream: file, host: undefined } : file;
  return {
    upstream,
    sample,
    /** Over all workers. */
    concurrentMax: concurrent,
    bufferBytes: valid(parseSize(String(buffer))),
    timeoutMs: valid(parseDuration(timeout)),
    /** Of HTTP; null: as the route has it. */
    host: host === undefined ? null : toHost(host),
  };
}

function toHost(text: string): 'preserve' | 'upstream' | Template {
  return text === 'preserve' || text === 'upstream' ? text : valid(parseTemplate(text));
}
