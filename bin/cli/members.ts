import type { Command } from 'commander';
import { boolFlag, textFlag } from './flags.ts';
import { addClientFlags, openClient, parseAnswer, type ClientFlags } from './http-client.ts';

/** One of `/v1/agent/members`. */
export interface Member {
  readonly Name: string;
  readonly Addr: string;
  readonly Port: number;
  readonly Tags?: Readonly<Record<string, string>> | null;
  /** Serf's number: 1 alive, 2 leaving, 3 left, 4 failed. */
  readonly Status: number;
}

interface MembersFlags extends ClientFlags {
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
        'Lists the members that a running gateway knows, and what it thinks of their health.\n' +
          'Exits with 2 when no member matches.',
      )
      .addOption(boolFlag('detailed', 'Show all that members say of themselves.'))
      .addOption(textFlag('segment', 'name', 'Consul Enterprise; a gateway refuses it.'))
      .addOption(
        textFlag('status', 'regexp', 'Show only members whose status matches: alive, leaving, left, failed.'),
      )
      .addOption(boolFlag('wan', 'Show the gateways of all datacenters.')),
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
  console.log(renderMembers(shown, flags.detailed === true));
  return 0;
}

/** The table that `consul members` prints, by segment and name. */
export function renderMembers(list: readonly Member[], detailed: boolean): string {
  const rows = list
    .toSorted((a, b) => order(segmentOf(a), segmentOf(b)) || order(a.Name, b.Name))
    .map((member) => (detailed ? detailedRow(member) : standardRow(member)));
  const head = detailed
    ? ['Node', 'Address', 'Status', 'Tags']
    : ['Node', 'Address', 'Status', 'Type', 'Build', 'Protocol', 'DC', 'Segment'];
  return columns([head, ...rows]);
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

/** Columns as wide as their widest cell, two spaces between. */
function columns(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, i) => Math.max(...rows.map((row) => (row[i] ?? '').length)));
  return rows
    .map((row) =>
      row.map((cell, i) => (i === row.length - 1 ? cell : cell.padEnd(widths[i] ?? 0))).join('  '),
    )
    .join('\n');
}

function order(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
