// The same where there is no io_uring, and each connection makes its own calls.
import { TestRoom } from '#test/support/worker/worker-room.js';

TestRoom.sharesCalls = false;
await import('./exchange.test.js');
