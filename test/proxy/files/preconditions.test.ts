import t from 'tap';
import { listHasTag } from '#src/proxy/files/entity-tag.js';
import { parseHttpTime } from '#src/proxy/files/http-time.js';
import {
  type Conditions,
  evaluate,
  rangeApplies,
  Verdict,
} from '#src/proxy/files/preconditions.js';

const NOW_MS = Date.UTC(2026, 10, 21, 12);
const MODIFIED_MS = Date.UTC(1994, 10, 6, 8, 49, 37);
const dateAt = (ms: number) => new Date(ms).toUTCString();
const known = { tag: '"a"', modifiedSec: MODIFIED_MS / 1000, modified: dateAt(MODIFIED_MS) };
const [before, same, after] = [-1000, 0, 1000].map((ms) => dateAt(MODIFIED_MS + ms)) as [
  string,
  string,
  string,
];

t.test('HTTP time: three forms of one moment', async (t) => {
  for (const text of [
    'Sun, 06 Nov 1994 08:49:37 GMT',
    'Sunday, 06-Nov-94 08:49:37 GMT',
    'Sun Nov  6 08:49:37 1994',
  ]) {
    t.equal(parseHttpTime(text, NOW_MS), MODIFIED_MS / 1000, text);
  }
  t.equal(
    parseHttpTime('Sunday, 06-Nov-76 08:49:37 GMT', NOW_MS),
    Date.UTC(2076, 10, 6, 8, 49, 37) / 1000,
  );
  t.equal(
    parseHttpTime('Sunday, 06-Nov-77 08:49:37 GMT', NOW_MS),
    Date.UTC(1977, 10, 6, 8, 49, 37) / 1000,
  );
});

t.test('HTTP time: what is none', async (t) => {
  for (const text of [
    '',
    '1994-11-06T08:49:37Z',
    'Sun, 06 Nov 1994 08:49:37 +0000',
    'Sun, 06 Nov 1994 24:49:37 GMT',
    'Sun, 06 Nov 1994 08:60:37 GMT',
    'Sun, 31 Feb 1994 08:49:37 GMT',
    'Sun, 06 nov 1994 08:49:37 GMT',
    'Sun, 6 Nov 1994 08:49:37 GMT',
    '784111777',
  ]) {
    t.equal(parseHttpTime(text, NOW_MS), undefined, text);
  }
});

t.test('entity tags: the table of RFC 9110 §8.8.3.2, in lists of any shape', async (t) => {
  for (const [one, other, strong, weak] of [
    ['W/"1"', 'W/"1"', false, true],
    ['W/"1"', 'W/"2"', false, false],
    ['W/"1"', '"1"', false, true],
    ['"1"', '"1"', true, true],
  ] as const) {
    for (const list of [one, `"x", ${one}`, `${one},"x"`, ` , ${one} ,, W/"y"`]) {
      t.equal(listHasTag(list, other, 'strong'), strong, `${list} ${other} strong`);
      t.equal(listHasTag(list, other, 'weak'), weak, `${list} ${other} weak`);
    }
  }
  t.equal(listHasTag('"a,b"', '"a,b"', 'strong'), true, 'a comma may be in a tag');
  t.equal(listHasTag('*', '', 'strong'), true, 'anything that exists');
  for (const list of ['', '1', "'1'", '"1', 'w/"1"', '"x" "1"', '1, "1"']) {
    t.equal(listHasTag(list, '"1"', 'weak'), false, list);
  }
});

t.test('preconditions: every combination, against the steps of RFC 9110 §13.2.2', async (t) => {
  const inOtherForm = 'Sun Nov  6 08:49:37 1994';
  const options = {
    ifMatch: [undefined, '*', '"a"', 'W/"a"', '"b"'],
    ifUnmodifiedSince: [undefined, before, same, after, 'nonsense'],
    ifNoneMatch: [undefined, '*', '"a"', 'W/"a"', '"b"'],
    ifModifiedSince: [undefined, before, same, inOtherForm, after, 'nonsense'],
  };
  const tagged = { '*': true, '"a"': true, 'W/"a"': false, '"b"': false } as Record<
    string,
    boolean
  >;
  const written = { [before]: false, [same]: true, [inOtherForm]: true, [after]: true } as Record<
    string,
    boolean | undefined
  >;
  let count = 0;
  for (const ifMatch of options.ifMatch)
    for (const ifUnmodifiedSince of options.ifUnmodifiedSince)
      for (const ifNoneMatch of options.ifNoneMatch)
        for (const ifModifiedSince of options.ifModifiedSince) {
          const conditions: Conditions = {
            ifMatch,
            ifUnmodifiedSince,
            ifNoneMatch,
            ifModifiedSince,
          };
          let expected: Verdict = Verdict.perform;
          const goesOn =
            ifMatch !== undefined
              ? tagged[ifMatch]!
              : ifUnmodifiedSince === undefined || written[ifUnmodifiedSince] !== false;
          if (!goesOn) expected = Verdict.failed;
          else if (ifNoneMatch !== undefined) {
            if (ifNoneMatch !== '"b"') expected = Verdict.not_modified;
          } else if (ifModifiedSince !== undefined && written[ifModifiedSince] === true) {
            expected = Verdict.not_modified;
          }
          const actual = evaluate(conditions, known, NOW_MS);
          if (actual !== expected) t.equal(actual, expected, JSON.stringify(conditions));
          count++;
        }
  t.equal(count, 750);
  const untagged = { ...known, tag: '' };
  t.equal(evaluate({ ...none, ifNoneMatch: '' }, untagged, NOW_MS), Verdict.perform);
  t.equal(evaluate({ ...none, ifMatch: '"a"' }, { ...known, tag: '' }, NOW_MS), Verdict.failed);
});

const none: Conditions = {
  ifMatch: undefined,
  ifUnmodifiedSince: undefined,
  ifNoneMatch: undefined,
  ifModifiedSince: undefined,
};

t.test('preconditions: a part of what it was, or all of what it is', async (t) => {
  for (const [value, expected] of [
    ['"a"', true],
    ['W/"a"', false],
    ['"b"', false],
    ['"a", "b"', false],
    [same, true],
    [before, false],
    [after, false],
    ['nonsense', false],
    ['*', false],
  ] as const) {
    t.equal(rangeApplies(value, known, NOW_MS), expected, value);
  }
  t.equal(
    rangeApplies('W/"a"', { ...known, tag: 'W/"a"' }, NOW_MS),
    false,
    'a weak tag equals none',
  );
  t.equal(
    rangeApplies(same, known, MODIFIED_MS + 500),
    false,
    'it may be written once more this second',
  );
});
