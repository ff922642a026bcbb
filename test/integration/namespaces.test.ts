// Real packets: headgate in a network namespace of its own, clients and origin behind a veth with an MTU of 1,500,
// without and with loss.
import { fileURLToPath } from 'node:url';
import type { Test } from 'tap';
import { findProgram, giveUp, testWith } from '../support/machine/capability.js';
import { joinedNamespaces, missingNamespaces, type Namespace } from '../support/machine/netns.js';
import { startHeadgate } from '../support/programs/headgate.js';
import { expectNoLeak } from '../support/programs/leak.js';
import { Program, runProgram } from '../support/programs/program.js';
import { expectCleanExit } from '../support/programs/rig.js';

const MiB = 1 << 20;
const transfer = fileURLToPath(new URL('../support/peers/transfer.js', import.meta.url));

const everyHundredth = '-m statistic --mode random --probability 0.01 -j DROP';
/** Ways to lose packets, best first: the firewall drops some on arrival, or the device's queue does. */
const lossCommands = [
  ['iptables', `-A INPUT -i veth0 -p tcp ${everyHundredth}`],
  ['iptables-legacy', `-A INPUT -i veth0 -p tcp ${everyHundredth}`],
  ['tc', 'qdisc add dev veth0 root netem loss 1%'],
] as const;

/** Makes `namespace` lose one packet of a hundred; answers how, undefined when this machine knows no way. */
function lose(namespace: Namespace): string | undefined {
  for (const [name, args] of lossCommands) {
    const program = findProgram(name);
    if (program === undefined) continue;
    try {
      namespace.run(program, ...args.split(' '));
      return name;
    } catch {
      // The program is there and the kernel's part is not: try the next.
    }
  }
  return undefined;
}

const timeout = { timeout: 90_000 };
const missing = missingNamespaces();

testWith(missing, 'namespaces: 64 MiB each way over an MTU of 1,500', timeout, async (t) => {
  await exactThrough(t, ...joinedNamespaces(t, 1500));
});

testWith(missing, 'namespaces: 64 MiB each way, 1 % of the packets lost', timeout, async (t) => {
  const [proxySide, farSide] = joinedNamespaces(t, 1500);
  const ways = [lose(proxySide), lose(farSide)];
  if (ways.includes(undefined)) return giveUp(t, 'neither iptables nor tc can drop packets here');
  t.comment(`packets are lost by ${ways.join(' and ')}`);
  await exactThrough(t, proxySide, farSide);
});

/** Client and origin on the far side, so that both legs of the flow cross the wire. */
async function exactThrough(t: Test, proxySide: Namespace, farSide: Namespace): Promise<void> {
  const program = [...farSide.prefix, process.execPath, transfer];
  const origin = Program.start(t, [...program, 'serve', '10.77.0.2:0']);
  const [, originAddress] = await origin.output(/^serving (\S+)$/m, 5_000);
  const args = ['tcp', '10.77.0.1:0', originAddress!, '--workers', '1', '--access-log'];
  const headgate = await startHeadgate(args, { prefix: proxySide.prefix });
  t.teardown(() => headgate.kill());
  const before = headgate.openFiles();
  for (const verb of ['get', 'put']) {
    const run = [...program, verb, headgate.address, String(64 * MiB)];
    const { stdout } = await runProgram(run, 40_000);
    t.match(stdout.toString(), /^done /, `${verb}: ${stdout.toString().trim().split(' ')[2]} ms`);
  }
  const small = [...program, 'put', headgate.address, '20000', '50'];
  const { stdout } = await runProgram(small, 20_000);
  t.match(
    stdout.toString(),
    /^done /,
    `50 small ones: ${stdout.toString().trim().split(' ')[2]} ms`,
  );
  const flows = await headgate.flowsEnded(52);
  t.equal(flows.filter(({ close }) => close === 'done').length, 52);
  await expectNoLeak(headgate, before);
  await expectCleanExit(t, headgate);
}
