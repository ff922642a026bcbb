import type { ConfigFile } from './schema/index.js';
import { parseCandidate, parseDuration, parsePathPattern, valid } from './values/index.js';

type HttpFile = NonNullable<ConfigFile['listeners'][string]['http']>;
type FilesFile = NonNullable<NonNullable<HttpFile['routes']>[number]['files']>;
type RuleFile = FilesFile['cache_control'][number];

/** What a route serves. */
export function toFileServing(file: FilesFile) {
  const { not_found: notFound, cache_control, content_types, revalidate } = file;
  return {
    kind: 'files' as const,
    root: file.root,
    index: [file.index].flat().map(bytesOf),
    tryFiles: file.try_files.map((one) => valid(parseCandidate(one))),
    notFound: notFound === undefined ? null : bytesOf(notFound),
    listing: file.listing,
    dotfiles: file.dotfiles,
    precompressed: file.precompressed,
    etag: file.etag,
    cacheControl: cache_control.map((rule) => ({
      paths: [rule.path].flat().map((path) => valid(parsePathPattern(path))),
      value: toCacheControl(rule),
    })),
    contentTypes: content_types,
    revalidateMs: valid(parseDuration(revalidate)),
  };
}

function toCacheControl({ value, max_age }: RuleFile): string {
  return value ?? `max-age=${Math.floor(valid(parseDuration(max_age!)) / 1000)}`;
}

/** Names of files are bytes: a character for each. */
function bytesOf(text: string): string {
  return Buffer.from(text).toString('latin1');
}
