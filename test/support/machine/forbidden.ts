// A command that a seccomp filter keeps from one system call, as a container's or a service manager's does.
import { Errno } from '#src/splice/index.js';

/** seccomp(2), with a program of classic BPF (linux/filter.h): load the number, compare, answer. */
const FILTER = `
import ctypes, os, struct, sys
number, errno, *command = sys.argv[1:]
LOAD, EQUAL, ANSWER = 0x20, 0x15, 0x06
ERROR, ALLOW = 0x50000, 0x7fff0000
program = [(LOAD, 0, 0, 0), (EQUAL, 0, 1, int(number)), (ANSWER, 0, 0, ERROR | int(errno)), (ANSWER, 0, 0, ALLOW)]
words = ctypes.create_string_buffer(b''.join(struct.pack('HBBI', *word) for word in program))
class Program(ctypes.Structure):
    _fields_ = [('length', ctypes.c_ushort), ('words', ctypes.c_void_p)]
whole = Program(len(program), ctypes.addressof(words))
PR_SET_SECCOMP, SECCOMP_MODE_FILTER, PR_SET_NO_NEW_PRIVS = 22, 2, 38
prctl = ctypes.CDLL(None).prctl
assert prctl(PR_SET_NO_NEW_PRIVS, ctypes.c_ulong(1), ctypes.c_ulong(0), ctypes.c_ulong(0), ctypes.c_ulong(0)) == 0
assert prctl(PR_SET_SECCOMP, ctypes.c_ulong(SECCOMP_MODE_FILTER), ctypes.byref(whole)) == 0
os.execvp(command[0], command)
`;

/** What to put in front of a command, so that a system call answers EPERM; needs `python3`. */
export function forbidding(systemCall: number): readonly string[] {
  return ['python3', '-c', FILTER, String(systemCall), String(Errno.EPERM)];
}
