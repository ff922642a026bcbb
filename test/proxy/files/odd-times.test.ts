// Files whose time is none that a date can say: who may write into a root may set any.
import t from 'tap';
import { DirectoryListing } from '#src/proxy/files/directory-listing.js';
import { FactSheet } from '#src/proxy/files/file-facts.js';
import { FilesRig, fileHttp, filesOf } from '#test/support/http/files-rig.js';
import { socketTest } from '#test/support/sockets/socket-kit.js';
import { nothingLeft } from '#test/support/worker/worker-room.js';

const NOW_MS = Date.UTC(2026, 5, 1);
/** Beyond what JavaScript has dates for; tmpfs and XFS keep it. */
const FAR_SEC = 99_999_999_999_999;

const entry = { isDirectory: false, isRegular: true, isLink: false, size: 1 };

/** What a listing says of one file, of which nothing is odd but its time. */
function listed(modifiedSec: number): string {
  const odd = { ...entry, name: Buffer.from('odd'), modifiedSec };
  const [item] = JSON.parse(new DirectoryListing('/', [odd], false).json().toString());
  return item.modified;
}

/** Last-Modified of such a file. */
function modified(modifiedSec: number): string {
  const facts = new FactSheet(filesOf('/'), [], { set: [], add: [], remove: [] });
  const status = {
    ...{ isRegular: true, isDirectory: false, size: 1, device: '1', inode: 1n },
    ...{ modifiedSec, modifiedNsec: 0 },
  };
  return facts.of('/odd', status, undefined, false, NOW_MS).modified;
}

t.test('times: what no date can say is the nearest that one can', async (t) => {
  t.equal(listed(FAR_SEC), '9999-12-31T23:59:59Z');
  t.equal(listed(-FAR_SEC), '0001-01-01T00:00:00Z');
  t.equal(listed(-1), '1969-12-31T23:59:59Z');
  t.equal(modified(FAR_SEC), new Date(NOW_MS).toUTCString(), 'not later than the answer');
  t.equal(modified(-FAR_SEC), 'Mon, 01 Jan 0001 00:00:00 GMT');
  t.equal(modified(-1), 'Wed, 31 Dec 1969 23:59:59 GMT');
});

socketTest('files: an exception ends its own connection, and no other', (t, kit) => {
  const rig = new FilesRig(t, kit, fileHttp(t.testdir({ a: 'a' }), { listing: true }));
  const { html } = DirectoryListing.prototype;
  t.teardown(() => Object.assign(DirectoryListing.prototype, { html }));
  DirectoryListing.prototype.html = () => {
    throw new Error('a bug');
  };
  rig.say('/');
  rig.expectReset();
  t.equal(rig.room.count('exceptions'), 1);
  DirectoryListing.prototype.html = html;
  t.equal(rig.again().ask('/a').body.toString(), 'a');
  t.equal(rig.ask('/').status, 200);
  t.same(rig.room.finish(), nothingLeft);
});
