let isLost = false;

function onOutputLost(error: NodeJS.ErrnoException): void {
  if (isLost) return;
  isLost = true;
  // Who reads, `head` say, has enough.
  if (error.code === 'EPIPE') return;
  process.exitCode = 1;
  process.stderr.write(`headgate: standard output: ${error.message}\n`);
}

/** For commands that print and end: what they print is all they do, so where it cannot be written they have failed. */
export function watchOutput(): void {
  process.stdout.on('error', onOutputLost);
  process.stderr.on('error', () => {});
}

/** For a proxy: who reads may have gone away, or have no room, and that must not end it. */
export function outliveOutput(): void {
  process.stdout.off('error', onOutputLost).on('error', () => {});
}
