import type { Command } from 'commander';
import type { MemberRow } from '../../compat/fleet/shapes.ts';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { askJson, withGateway } from './fleet-client.ts';
import { boolFlag } from './flags.ts';
import { addClientFlags, type ClientFlags, type GatewayClient } from './http-client.ts';
import { count } from './table.ts';
import { readZones, zoneName } from './zone.ts';

interface LeaveFlags extends ClientFlags {
  readonly force?: boolean;
}

export function registerLeave(program: Command): void {
  addClientFlags(
    program
      .command('leave')
      .summary('Leave the cluster and stop')
      .description(
        'Makes a running gateway leave the cluster and stop. The others then drop its node instead of waiting for it;\n' +
          'to stop a gateway that will be back, send SIGTERM.\n\n' +
          'Nobody can write to the zones of a gateway that left: delegate them first.',
      )
      .addOption(boolFlag('force', 'Leave even if this gateway still owns zones.')),
  )
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine zone delegate eu/ gw-paris && grapevine leave -http-addr=gw-frankfurt:8500`,
    )
    .action(async (flags: LeaveFlags) => {
      process.exitCode = await withGateway(flags, 'Error leaving', (client) => leave(client, flags));
    });
}

async function leave(client: GatewayClient, flags: LeaveFlags): Promise<Result<string, string>> {
  const owned = flags.force === true ? [] : await ownedZones(client);
  if (owned.length > 0) {
    return err(
      `it owns ${count(owned.length, 'zone')} to which nobody could write then: ${owned.join(', ')}. Give them to ` +
        'another gateway (`grapevine help zone delegate`), or add -force',
    );
  }
  const answer = await client.expectOk('PUT', '/v1/agent/leave');
  return answer.ok ? ok('Graceful leave complete') : answer;
}

/** Of the gateway that is asked; none where it is the only one, or no gateway. */
async function ownedZones(client: GatewayClient): Promise<readonly string[]> {
  const members = await askJson<readonly MemberRow[]>(client, 'GET', '/v1/grapevine/members');
  const zones = members.ok ? await readZones(client) : members;
  if (!members.ok || !zones.ok) return [];
  const self = members.value.find(({ Self }) => Self);
  const others = members.value.filter(({ Self, Status }) => !Self && Status === 1);
  if (others.length === 0) return [];
  return zones.value.filter(({ OwnerID }) => OwnerID === self?.ID).map(zoneName);
}
