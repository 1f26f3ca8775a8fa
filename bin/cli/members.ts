import type { Command } from 'commander';
import type { MemberRow } from '../../compat/fleet/shapes.ts';
import { askJson, jsonFlag, type JsonFlag } from './fleet-client.ts';
import { boolFlag, textFlag } from './flags.ts';
import { addClientFlags, openClient, parseAnswer, type ClientFlags } from './http-client.ts';
import { columns, roundTrip } from './table.ts';

/** One of `/v1/agent/members`. */
export interface Member {
  readonly Name: string;
  readonly Addr: string;
  readonly Port: number;
  readonly Tags?: Readonly<Record<string, string>> | null;
  /** Serf's number: 1 alive, 2 leaving, 3 left, 4 failed. */
  readonly Status: number;
}

interface MembersFlags extends ClientFlags, JsonFlag {
  readonly detailed?: boolean;
  readonly segment?: string;
  readonly status?: string;
  readonly wan?: boolean;
}

export function registerMembers(program: Command): void {
  addClientFlags(
    program
      .command('members')
      .summary('List the gateways of the cluster')
      .description(
        'Lists the members that a running gateway knows, and what it thinks of their health: Status as Consul has\n' +
          'it, State as the probes have it (a suspect has not answered lately, and still counts as alive), RTT as\n' +
          'this gateway measured it. Exits with 2 when no member matches.',
      )
      .addOption(boolFlag('detailed', 'Show all that members say of themselves.'))
      .addOption(textFlag('segment', 'name', 'Consul Enterprise; a gateway refuses it.'))
      .addOption(
        textFlag('status', 'regexp', 'Show only members whose status matches: alive, leaving, left, failed.'),
      )
      .addOption(boolFlag('wan', 'Show the gateways of all datacenters.'))
      .addOption(jsonFlag()),
  )
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine members
  $ grapevine members -status=failed -http-addr=10.0.0.1:8500`,
    )
    .action(async (flags: MembersFlags) => {
      process.exitCode = await members(flags);
    });
}

async function members(flags: MembersFlags): Promise<number> {
  let wanted: RegExp;
  try {
    wanted = new RegExp(flags.status ?? '');
  } catch (error) {
    console.error(
      `Failed to compile status regexp: ${error instanceof Error ? error.message : String(error)}`,
    );
    return 1;
  }
  const client = openClient(flags);
  if (!client.ok) {
    console.error(client.error);
    return 1;
  }
  const query = new URLSearchParams({
    segment: flags.segment ?? '_all',
    ...(flags.wan === true ? { wan: '1' } : {}),
  });
  const answer = await client.value.expectOk('GET', `/v1/agent/members?${query.toString()}`);
  const all = answer.ok ? parseAnswer<readonly Member[]>(answer.value) : answer;
  if (!all.ok) {
    console.error(`Error retrieving members: ${all.error}`);
    return 1;
  }
  const shown = all.value.filter((member) => wanted.test(statusName(member.Status)));
  if (shown.length === 0) return 2;
  const more = await askJson<readonly MemberRow[]>(
    client.value,
    'GET',
    `/v1/grapevine/members${flags.wan === true ? '?wan' : ''}`,
  );
  // A Consul has no more to say.
  const known = new Map((more.ok ? more.value : []).map((row) => [row.Name, row]));
  if (flags.json === true) {
    const rows = shown.map((member) => known.get(member.Name) ?? member);
    console.log(JSON.stringify(rows, null, 2));
  } else {
    console.log(renderMembers(shown, flags.detailed === true, known));
  }
  return 0;
}

/**
 * The table that `consul members` prints, by segment and name; with what only a gateway knows, where there is such,
 * to the right of it.
 */
export function renderMembers(
  list: readonly Member[],
  detailed: boolean,
  known: ReadonlyMap<string, MemberRow> = new Map(),
): string {
  const rows = list
    .toSorted((a, b) => order(segmentOf(a), segmentOf(b)) || order(a.Name, b.Name))
    .map((member) =>
      detailed
        ? detailedRow(member)
        : [...standardRow(member), ...(known.size > 0 ? ownColumns(known.get(member.Name)) : [])],
    );
  const head = detailed
    ? ['Node', 'Address', 'Status', 'Tags']
    : ['Node', 'Address', 'Status', 'Type', 'Build', 'Protocol', 'DC', 'Segment'];
  return columns([!detailed && known.size > 0 ? [...head, 'Region', 'RTT', 'State'] : head, ...rows]);
}

function ownColumns(row: MemberRow | undefined): readonly string[] {
  if (row === undefined) return ['-', '-', '-'];
  return [row.Region, row.Self ? '-' : roundTrip(row.RTTMs), row.State];
}

function standardRow(member: Member): readonly string[] {
  const tags = member.Tags ?? {};
  const build = tags['build'] ?? '';
  const types: Readonly<Record<string, string>> = { node: 'client', consul: 'server' };
  return [
    member.Name,
    addressOf(member),
    statusName(member.Status),
    types[tags['role'] ?? ''] ?? 'unknown',
    build === '' ? '< 0.3' : (build.split(':')[0] ?? ''),
    tags['vsn'] ?? '',
    tags['dc'] ?? '',
    segmentOf(member),
  ];
}

function detailedRow(member: Member): readonly string[] {
  const tags = Object.entries({ ...member.Tags, segment: segmentOf(member) })
    .map(([name, value]) => `${name}=${value}`)
    .toSorted(order);
  return [member.Name, addressOf(member), statusName(member.Status), tags.join(',')];
}

function addressOf(member: Member): string {
  const host = member.Addr.includes(':') ? `[${member.Addr}]` : member.Addr;
  return `${host}:${member.Port}`;
}

function segmentOf(member: Member): string {
  const segment = member.Tags?.['segment'] ?? '';
  if (segment !== '') return segment;
  return member.Tags?.['role'] === 'consul' ? '<all>' : '<default>';
}

function statusName(status: number): string {
  return ['none', 'alive', 'leaving', 'left', 'failed'][status] ?? 'unknown';
}

function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
