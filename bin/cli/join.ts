import type { Command } from 'commander';
import { boolFlag } from './flags.ts';
import { addClientFlags, openClient, type ClientFlags, type GatewayClient } from './http-client.ts';
import { withGateway } from './fleet-client.ts';
import { count } from './table.ts';
import { readZones } from './zone.ts';

interface JoinFlags extends ClientFlags {
  readonly wan?: boolean;
}

export function registerJoin(program: Command): void {
  addClientFlags(
    program
      .command('join')
      .summary('Make a gateway join a cluster')
      .description(
        'Makes a running gateway join the cluster of the gateways at these addresses. One that answers is enough: the\n' +
          'others are learnt from it. A gateway that belongs to another cluster is refused, and refuses.',
      )
      .argument('<address...>', 'host or host:port of the gossip of gateways (port 8301, with -wan 8302)')
      .addOption(boolFlag('wan', 'Join the gateways of another datacenter.')),
  )
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine join 10.0.0.1
  $ grapevine join -wan gw-tokyo.example:8302

To join whenever it starts, give a gateway -retry-join instead.
Exit codes: 0 at least one was joined; 1 none was.`,
    )
    .action(async (addresses: readonly string[], flags: JoinFlags) => {
      process.exitCode = await join(addresses, flags);
    });
}

/** What Consul's command prints: each failure, then how many succeeded. */
async function join(addresses: readonly string[], flags: JoinFlags): Promise<number> {
  const client = openClient(flags);
  if (!client.ok) {
    console.error(client.error);
    return 1;
  }
  let joined = 0;
  for (const address of addresses) {
    const path = `/v1/agent/join/${encodeURIComponent(address)}${flags.wan === true ? '?wan=1' : ''}`;
    const answer = await client.value.expectOk('PUT', path);
    if (answer.ok) joined += 1;
    else console.error(`Error joining address '${address}': ${answer.error}`);
  }
  if (joined === 0) {
    console.error('Failed to join any nodes.');
    return 1;
  }
  console.log(`Successfully joined cluster by contacting ${joined} nodes.`);
  return 0;
}

interface ForceLeaveFlags extends ClientFlags {
  readonly prune?: boolean;
}

export function registerForceLeave(program: Command): void {
  addClientFlags(
    program
      .command('force-leave')
      .summary('Take a gateway that is gone out of the cluster')
      .description(
        'Says of a failed member that it left: nobody waits for it any more, and its node leaves the catalog. With\n' +
          '-prune it is forgotten as well, so that nothing is kept for its return. A member that lives says so, and\n' +
          'stays. The zones that it owns stay its own: give them a new owner with `grapevine zone takeover`.',
      )
      .argument('<node>', 'node name, as in `grapevine members`')
      .addOption(boolFlag('prune', 'Forget it altogether.')),
  )
    .addHelpText(
      'after',
      `
Example:
  $ grapevine force-leave gw-frankfurt`,
    )
    .action(async (node: string, flags: ForceLeaveFlags) => {
      process.exitCode = await withGateway(flags, 'Error force leaving', async (client) => {
        const path = `/v1/agent/force-leave/${encodeURIComponent(node)}${flags.prune === true ? '?prune' : ''}`;
        const answer = await client.expectOk('PUT', path);
        if (!answer.ok) return answer;
        return { ok: true, value: await ownedBy(client, node) };
      });
    });
}

/** A reminder of what the member still owns; nothing where that cannot be known. */
async function ownedBy(client: GatewayClient, node: string): Promise<string> {
  const zones = await readZones(client);
  if (!zones.ok) return '';
  const owned = zones.value.filter(({ Owner }) => Owner === node).length;
  return owned === 0
    ? ''
    : `${node} still owns ${count(owned, 'zone')}, to which nobody can write: see \`grapevine zone list\` and \`grapevine help zone takeover\`.`;
}
