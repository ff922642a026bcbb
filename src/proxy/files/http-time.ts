const months = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const MONTH = `(?<month>${months.join('|')})`;
const TIME = '(?<hour>\\d\\d):(?<minute>\\d\\d):(?<second>\\d\\d)';

/** The three forms of RFC 9110 §5.6.7: IMF-fixdate, and those of RFC 850 and of asctime(3). */
const forms = [
  `\\w{3}, (?<day>\\d\\d) ${MONTH} (?<year>\\d{4}) ${TIME} GMT`,
  `\\w{6,9}, (?<day>\\d\\d)-${MONTH}-(?<year>\\d\\d) ${TIME} GMT`,
  `\\w{3} ${MONTH} (?<day>[ \\d]\\d) ${TIME} (?<year>\\d{4})`,
].map((source) => new RegExp(`^${source}$`));

const CENTURY = 100;

/** The first and the last second of years of four digits, the only ones that dates have: 0001-01-01 and 9999-12-31. */
const FIRST_SEC = -62_135_596_800;
const LAST_SEC = 253_402_300_799;

/**
 * A time that can be written as a date: that, or the nearest that can. Filesystems keep what they are told, which may be
 * anything (utimensat(2)).
 *
 * @param sec seconds since 1970
 */
export function datable(sec: number): number {
  return Math.min(LAST_SEC, Math.max(FIRST_SEC, sec));
}

/**
 * Reads an HTTP-date.
 *
 * @param nowMs wall-clock time, ms since 1970: a year of two digits is none that is more than 50 years ahead
 * @returns seconds since 1970; nothing for what is no date, which is to be ignored
 */
export function parseHttpTime(text: string, nowMs: number): number | undefined {
  const parts = forms.map((form) => form.exec(text)?.groups).find((found) => found !== undefined);
  if (parts === undefined) return undefined;
  const [day, hour, minute, second] = [parts.day, parts.hour, parts.minute, parts.second].map(
    Number,
  ) as [number, number, number, number];
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  let year = Number(parts.year);
  if (parts.year!.length === 2) {
    const thisYear = new Date(nowMs).getUTCFullYear();
    year += thisYear - (thisYear % CENTURY);
    if (year > thisYear + CENTURY / 2) year -= CENTURY;
  }
  const date = new Date(Date.UTC(year, months.indexOf(parts.month!), day, hour, minute, second));
  // A day that the month does not have would be one of the next month.
  return date.getUTCDate() === day || second === 60 ? date.getTime() / 1000 : undefined;
}
