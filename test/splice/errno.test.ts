import t from 'tap';
import { Errno, errnoName, orThrow, SystemCallError } from '#src/splice/index.js';

t.test('errno: a number has the kernel’s name', async (t) => {
  for (const [name, value] of Object.entries(Errno)) t.equal(errnoName(value), name);
});

t.test('errno: numbers the data path does not decide by have names, too', async (t) => {
  t.equal(errnoName(7), 'E2BIG');
  t.equal(errnoName(28), 'ENOSPC');
  t.equal(errnoName(90), 'EMSGSIZE');
});

t.test('errno: where two names share a number, ours wins', async (t) => {
  t.equal(errnoName(11), 'EAGAIN', 'not EWOULDBLOCK');
  t.equal(errnoName(95), 'EOPNOTSUPP', 'not ENOTSUP');
});

t.test('errno: what a call has answered has the name of its number', async (t) => {
  t.equal(errnoName(-11), 'EAGAIN');
});

t.test('errno: a number without a name says so', async (t) => {
  t.equal(errnoName(4000), 'E4000');
});

t.test('errno: orThrow passes results on and throws errors', async (t) => {
  t.equal(orThrow(0, 'bind'), 0);
  t.equal(orThrow(7, 'bind'), 7);
  t.throws(() => orThrow(-98, 'bind', '127.0.0.1:80'), {
    name: 'SystemCallError',
    message: 'bind 127.0.0.1:80: EADDRINUSE',
    code: 'EADDRINUSE',
    syscall: 'bind',
    errno: 98,
    subject: '127.0.0.1:80',
  });
  t.throws(() => orThrow(-24, 'socket'), { message: 'socket: EMFILE', subject: '' });
});

t.test('errno: a system call error is an Error', async (t) => {
  t.ok(new SystemCallError('recv', 104) instanceof Error);
});
