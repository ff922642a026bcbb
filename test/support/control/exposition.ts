// Prometheus' text format, version 0.0.4, read as strictly as `promtool check metrics` does.

/** One sample line. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

/** One metric with its `# HELP` and `# TYPE`. */
export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: string;
  readonly samples: Sample[];
}

const TYPES = ['counter', 'gauge', 'histogram', 'summary', 'untyped'];
const LABEL = /([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/y;
const SAMPLE = /^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$/;

/**
 * The families of a page, in its order.
 * @throws Error for what Prometheus would refuse, and for what promtool complains about.
 */
export function parseExposition(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const families = new Map<string, Family>();
  const seen = new Set<string>();
  let help = '';
  let current: Family | undefined;
  for (const line of text.split('\n')) {
    if (line === '') continue;
    if (line.startsWith('# HELP ')) {
      help = line;
    } else if (line.startsWith('# TYPE ')) {
      current = beginFamily(line, help);
      if (families.has(current.name)) throw new Error(`twice: ${current.name}`);
      families.set(current.name, current);
    } else {
      const sample = parseSample(line);
      if (current === undefined || !isOf(current, sample)) throw new Error(`stray: ${line}`);
      const identity = JSON.stringify([sample.name, Object.entries(sample.labels).sort()]);
      if (seen.has(identity)) throw new Error(`twice: ${line}`);
      seen.add(identity);
      current.samples.push(sample);
    }
  }
  for (const family of families.values()) check(family);
  return families;
}

function beginFamily(line: string, help: string): Family {
  const [, name, type] = /^# TYPE (\S+) (\S+)$/.exec(line) ?? [];
  if (name === undefined || !TYPES.includes(type!)) throw new Error(`no type: ${line}`);
  const prefix = `# HELP ${name} `;
  if (!help.startsWith(prefix)) throw new Error(`no help before: ${line}`);
  return { name, type: type!, help: help.slice(prefix.length), samples: [] };
}

function parseSample(line: string): Sample {
  const [, name, inner = '', number] = SAMPLE.exec(line) ?? [];
  if (name === undefined) throw new Error(`not a sample: ${line}`);
  const labels: Record<string, string> = {};
  LABEL.lastIndex = 0;
  let end = 0;
  for (let found = LABEL.exec(inner); found; found = LABEL.exec(inner)) {
    labels[found[1]!] = found[2]!.replace(/\\(.)/g, (_, c) => (c === 'n' ? '\n' : c));
    end = LABEL.lastIndex;
  }
  if (end !== inner.length) throw new Error(`bad labels: ${line}`);
  return { name, labels, value: parseValue(number!, line) };
}

function parseValue(text: string, line: string): number {
  if (text === '+Inf') return Infinity;
  if (text === '-Inf') return -Infinity;
  if (/^nan$/i.test(text)) return Number.NaN;
  const value = Number(text);
  if (Number.isNaN(value)) throw new Error(`not a number: ${line}`);
  return value;
}

function isOf({ name, type }: Family, sample: Sample): boolean {
  if (type !== 'histogram') return sample.name === name;
  return ['_bucket', '_sum', '_count'].some((suffix) => sample.name === `${name}${suffix}`);
}

function check({ name, help, type, samples }: Family): void {
  if (help === '') throw new Error(`${name} has no help`);
  if (type === 'counter') {
    if (!name.endsWith('_total')) throw new Error(`${name} is a counter without _total`);
    if (samples.some(({ value }) => !(value >= 0))) throw new Error(`${name} is below zero`);
  }
  if (type !== 'histogram' || samples.length === 0) return;
  const buckets = samples.filter((sample) => sample.name === `${name}_bucket`);
  const series = new Map<string, Sample[]>();
  for (const bucket of buckets) {
    const { le: _, ...rest } = bucket.labels;
    const key = JSON.stringify(rest);
    series.set(key, [...(series.get(key) ?? []), bucket]);
  }
  for (const [key, ascending] of series) {
    const limits = ascending.map(({ labels }) => (labels.le === '+Inf' ? Infinity : +labels.le!));
    const isAscending = (values: number[]) =>
      values.every((v, i) => i === 0 || v >= values[i - 1]!);
    if (limits.at(-1) !== Infinity) throw new Error(`${name} ${key} has no bucket +Inf`);
    if (!isAscending(limits) || !isAscending(ascending.map(({ value }) => value))) {
      throw new Error(`${name} ${key}: buckets are not cumulative`);
    }
    const count = samples.find(
      (sample) => sample.name === `${name}_count` && JSON.stringify(sample.labels) === key,
    );
    if (count?.value !== ascending.at(-1)!.value) throw new Error(`${name} ${key}: wrong count`);
  }
}
