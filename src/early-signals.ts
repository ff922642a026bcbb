let isHeld = false;
let isReloadDue = false;

function onHangUp(): void {
  isReloadDue = true;
}

/** The file of access lines is yet to be opened. */
function onReopen(): void {}

/**
 * Hears signals before there is anything to reload: SIGHUP would end the process, SIGUSR1 have Node listen for a
 * debugger, and reading modules and a configuration takes long enough for a service manager or logrotate to send one.
 */
export function holdSignals(): void {
  if (isHeld) return;
  isHeld = true;
  process.on('SIGHUP', onHangUp).on('SIGUSR1', onReopen);
}

/** Ends that, once somebody else listens, or nobody needs to. @returns whether there was a SIGHUP */
export function releaseSignals(): boolean {
  const wasDue = isReloadDue;
  isHeld = false;
  isReloadDue = false;
  process.off('SIGHUP', onHangUp).off('SIGUSR1', onReopen);
  return wasDue;
}
