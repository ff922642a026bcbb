import { isUtf8 } from 'node:buffer';
import { type Config, toConfig } from './config.js';
import {
  asOneLine,
  type Environment,
  inOrder,
  type Problem,
  readDocument,
  readSource,
  type SourceDocument,
} from './document/index.js';
import {
  findAdminExposure,
  findBalanceMistakes,
  findBindClashes,
  findCaptureMistakes,
  findHttpMistakes,
  findOverflows,
  findUnreachableRoutes,
} from './rules/index.js';
import { type ConfigFile, configSchema } from './schema/index.js';
import { findTlsProblems } from './tls/index.js';
import { type Finding, validator, withDefaults } from './validation/index.js';
import { Files } from './values/index.js';

const validate = validator(configSchema);

/** A complete configuration, or everything that is wrong with the file, in its order. */
export type Loaded = { ok: true; config: Config } | { ok: false; problems: Problem[] };

/** What a configuration is read with. */
export interface LoadOptions {
  /** What problems call the file. */
  file?: string;
  /** Where `${NAME}` is looked up; `process.env` unless told. */
  env?: Environment;
}

/** Reads a configuration file. Never throws for what is in the file, nor for its absence. */
export function readConfig(path: string, env: Environment = process.env): Loaded {
  const source = readSource(path);
  if (!source.ok) return unreadable(path, source.message);
  const { bytes } = source;
  if (!isUtf8(bytes)) return unreadable(path, 'the file is not UTF-8, expected UTF-8 text');
  return loadConfig(bytes.toString('utf8'), { file: path, env });
}

/** Loads the text of a configuration file. Never throws for bad text. */
export function loadConfig(text: string, options: LoadOptions = {}): Loaded {
  const { file = 'headgate.yaml', env = process.env } = options;
  // The byte order mark is not a column of the first line.
  const source = readDocument(text.replace(/^\uFEFF/, ''), env);
  const files = new Files();
  const findings = [
    ...validate(source.value),
    ...findBindClashes(source.value),
    ...findAdminExposure(source.value),
    ...findUnreachableRoutes(source.value),
    ...findHttpMistakes(source.value),
    ...findBalanceMistakes(source.value),
    ...findCaptureMistakes(source.value),
    ...findOverflows(source.value),
    ...findTlsProblems(source.value, files),
  ];
  const problems = [
    ...source.complaints.map(({ offset, message }) => ({ ...source.position(offset), message })),
    ...findings.filter((finding) => isSound(finding, source)).map((f) => locate(f, source)),
  ];
  if (problems.length > 0) {
    const told = problems.map(({ message, ...place }) => ({
      ...{ file, ...place },
      message: asOneLine(message),
    }));
    return { ok: false, problems: inOrder(told) };
  }
  const complete = withDefaults(configSchema, source.value);
  return { ok: true, config: toConfig(complete as ConfigFile, files) };
}

/** Whether a finding is worth telling: not about what could not be read, nor a consequence of it. */
function isSound({ pointer, at, absence }: Finding, source: SourceDocument): boolean {
  if (source.unreadable.has(pointer)) return false;
  if (source.soundUntil === Infinity) return true;
  const place = source.places.get(pointer);
  const span = at === 'key' ? place?.key : place?.value;
  return !absence && span != null && span.end < source.soundUntil;
}

function locate({ pointer, at, message }: Finding, source: SourceDocument) {
  const place = source.places.get(pointer);
  const span = (at === 'key' ? place?.key : null) ?? place?.value;
  const variables = at === 'value' ? (place?.variables ?? []) : [];
  const origin = variables.map((name) => `\${${name}}`).join(', ');
  return {
    ...source.position(span?.start ?? 0),
    message: origin === '' ? message : `${message} (the value comes from ${origin})`,
  };
}

function unreadable(file: string, message: string): Loaded {
  return { ok: false, problems: [{ file, line: 1, column: 1, message }] };
}
