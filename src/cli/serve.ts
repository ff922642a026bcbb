import type { Config, Loaded } from '../config/index.js';
import { bindErrorText, ServiceManager, Supervisor } from '../control/index.js';
import { holdSignals, releaseSignals } from '../early-signals.js';
import { outliveOutput } from './output.js';

/** How long the end may take after a bug of the control thread. */
const FAILING_MS = 5_000;

/**
 * Runs a configuration until a signal ends it. The first SIGTERM or SIGINT drains, a second one
 * ends everything at once.
 *
 * @param source reads the configuration again: for SIGHUP, and for a reload by the admin endpoint
 * @param onListening called once every listener accepts
 * @returns 0 after a clean stop, 1 when an address cannot be bound, a worker died or the control thread failed
 */
export async function serve(
  config: Config,
  source?: () => Loaded,
  onListening: (supervisor: Supervisor) => void = () => {},
): Promise<number> {
  outliveOutput();
  // Workers take a while until they serve, and a signal that nobody listens for ends the process.
  holdSignals();
  let isStopDue = false;
  // The default would leave the files of Unix sockets behind. It is what a second signal finds.
  const onEarlyStop = (): void => {
    isStopDue = true;
    hearNoEarlyStop();
  };
  const hearNoEarlyStop = (): void => {
    process.off('SIGTERM', onEarlyStop).off('SIGINT', onEarlyStop);
  };
  process.on('SIGTERM', onEarlyStop).on('SIGINT', onEarlyStop);
  let isReloadWaiting = false;
  const read =
    source &&
    ((): Loaded => {
      isReloadWaiting = false;
      return source();
    });
  let supervisor: Supervisor;
  try {
    supervisor = await Supervisor.start(config, read && { source: read });
  } catch (error) {
    releaseSignals();
    hearNoEarlyStop();
    process.stderr.write(`headgate: ${bindErrorText(error)}\n`);
    return 1;
  }
  const manager = ServiceManager.fromEnvironment();
  let signals = 0;
  const onSignal = (): void => {
    signals++;
    manager?.stopping('draining');
    void (signals === 1 ? supervisor.drain() : supervisor.close()).catch(() => {});
  };
  const onHangUp = (): void => {
    if (signals > 0) {
      // Nothing is read any more: it is refused, which is logged and counted. The service manager knows of the end.
      void supervisor.reloadSource();
      return;
    }
    // One that waits for its turn has not read yet, and will see what this one would.
    if (isReloadWaiting) return;
    isReloadWaiting = source !== undefined;
    manager?.reloading();
    void supervisor.reloadSource().then((result) => {
      if (signals === 0) manager?.ready(result.ok ? 'reloaded' : 'not reloaded: the log says why');
    });
  };
  let hasFailed = false;
  // Node would end this thread and then wait for the workers, which never look up from epoll_wait(2): connections would
  // go on for ever with nobody to hear a signal.
  const onBug = (error: unknown): void => {
    if (hasFailed) return;
    hasFailed = true;
    setTimeout(() => process.kill(process.pid, 'SIGKILL'), FAILING_MS).unref();
    void supervisor.fail(error).catch(() => {});
  };
  process.on('uncaughtException', onBug);
  // Node would listen for a debugger.
  const onReopen = (): void => supervisor.reopenLogs();
  process.on('SIGUSR1', onReopen);
  process.on('SIGHUP', onHangUp);
  const isReloadDue = releaseSignals();
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);
  hearNoEarlyStop();
  if (isStopDue) onSignal();
  for (const { listener, kind, address } of supervisor.addresses) {
    process.stdout.write(`listening ${listener} ${kind} ${address}\n`);
  }
  const { adminAddress } = supervisor;
  if (adminAddress !== undefined) process.stdout.write(`admin ${adminAddress}\n`);
  onListening(supervisor);
  if (signals === 0) manager?.ready();
  if (isReloadDue) onHangUp();
  manager?.startWatchdog(() => supervisor.isHealthy);
  try {
    await supervisor.stopped;
    return hasFailed ? 1 : 0;
  } catch {
    return 1;
  } finally {
    manager?.stopWatchdog();
    process.off('SIGUSR1', onReopen);
    process.off('SIGHUP', onHangUp);
    process.off('SIGTERM', onSignal);
    process.off('SIGINT', onSignal);
    process.off('uncaughtException', onBug);
  }
}
