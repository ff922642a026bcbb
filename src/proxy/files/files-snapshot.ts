import type { PathPatternSnapshot } from '../http/index.js';
import type { Encoding } from './encodings.js';

/** What a route does that serves files, as a worker is told it. */
export interface FilesSnapshot {
  readonly kind: 'files';
  /** The directory; relative to the working directory, or absolute. */
  readonly root: string;
  /** Names that stand for their directory, in order. */
  readonly index: readonly string[];
  /** What is looked for, in order: texts between which the path of the request stands. */
  readonly tryFiles: readonly (readonly string[])[];
  /** The page that is sent with status 404, below the root; null: there is none. */
  readonly notFound: string | null;
  /** Directories without an index show what is in them. */
  readonly listing: boolean;
  /** Names that begin with a dot are served. */
  readonly dotfiles: boolean;
  /** Encoded files that may lie beside a file, in the order of preference. */
  readonly precompressed: readonly Encoding[];
  /** Whether there are entity tags, and which. */
  readonly etag: 'strong' | 'weak' | 'off';
  /** Values of Cache-Control; the first with a fitting path counts. */
  readonly cacheControl: readonly {
    readonly paths: readonly PathPatternSnapshot[];
    readonly value: string;
  }[];
  /** Media types by extension, lower case, before those that are known. */
  readonly contentTypes: Readonly<Record<string, string>>;
  /** How long an open file is served without looking whether its name means another one by now. */
  readonly revalidateMs: number;
}
