// docs/http.md is for operators: what it says of names and statuses is what the program does.
import { readFileSync } from 'node:fs';
import t from 'tap';
import { Refusal, refusalNames, refusalStatus } from '#src/proxy/http/guarding/index.js';
import { HttpRejection, httpRejectionNames, statusFor } from '#src/proxy/http/index.js';

const page = readFileSync(new URL('../../../../docs/http.md', import.meta.url), 'utf8');

t.test('docs/http.md: every rejection, and every refusal, with its status', async (t) => {
  for (const name of httpRejectionNames) {
    t.ok(page.includes(`| ${statusFor(HttpRejection[name])} | \`${name}\` | `), name);
  }
  for (const name of refusalNames) {
    t.ok(page.includes(`| \`${name}\` | ${refusalStatus(Refusal[name])} | `), name);
  }
});
