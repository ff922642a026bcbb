// Answers of our own that say the request's target again, however long it is.
import { fileHttp, filesTest } from '#test/support/http/files-rig.js';
import { TestRoom } from '#test/support/worker/worker-room.js';
import { routeOf } from '../requests.js';
import { silent } from '../rewriting/exchange-rig.js';

TestRoom.headBytes = 32 * 1024;
/** With it a head is nearly as long as heads may be. */
const QUERY = 'q'.repeat(30_000);

const redirect = routeOf({
  action: {
    kind: 'redirect',
    to: ['https://www.example', { variable: 'uri' }],
    status: 308,
  },
});

filesTest(
  'a redirect goes to a target of any length',
  {},
  () => ({ ...silent, routes: [redirect] }),
  (rig, t) => {
    for (const query of ['', 'a', QUERY]) {
      const { status, headers } = rig.ask(`/x?${query}`);
      t.equal(status, 308);
      t.ok(headers.location === `https://www.example/x?${query}`, `${query.length} bytes`);
    }
  },
);

filesTest(
  'so does that of a directory to its slash',
  { sub: { 'index.html': 'x' } },
  (root) => fileHttp(root),
  (rig, t) => {
    const { status, headers } = rig.ask(`/sub?${QUERY}`);
    t.equal(status, 301);
    t.ok(headers.location === `/sub/?${QUERY}`);
  },
);
