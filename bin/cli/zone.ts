import type { Command } from 'commander';
import { parseGoDuration } from '../../compat/wire/go-duration.ts';
import type { ConflictRow, ZoneRow } from '../../compat/fleet/shapes.ts';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { askJson, askShownJson, jsonFlag, withGateway, type JsonFlag } from './fleet-client.ts';
import { boolFlag, listFlag, textFlag } from './flags.ts';
import { addClientFlags, type ClientFlags, type GatewayClient } from './http-client.ts';
import { ago, columns, count, printable } from './table.ts';

interface ZoneFlags extends ClientFlags, JsonFlag {
  readonly externalNodes?: boolean;
}

interface DelegateFlags extends ZoneFlags {
  readonly wait?: string;
}

interface TakeoverFlags extends ZoneFlags {
  readonly reason: string;
  readonly force?: boolean;
}

interface ConflictFlags extends ClientFlags, JsonFlag {
  readonly export?: boolean;
  readonly replay?: boolean;
  readonly drop?: boolean;
  readonly all?: boolean;
  readonly id?: readonly string[];
}

/** `grapevine zone list|delegate|takeover|conflicts`: who may write which keys. */
export function registerZone(program: Command): void {
  const zone = program
    .command('zone')
    .summary('Show and change which gateway owns which keys')
    .description(
      'Every key has one gateway that may write it: the owner of the zone (a prefix of keys) that it is in. The\n' +
        'longest matching prefix decides; the root zone is the empty prefix. Reads are local on every gateway, writes\n' +
        'are handed to the owner. So put a zone where its writers are.\n\n' +
        'docs/zones.md says what happens when gateways fail, and what to do then.',
    )
    .usage('<command> [flags]');
  registerList(zone);
  registerDelegate(zone);
  registerTakeover(zone);
  registerConflicts(zone);
}

const externalFlag = () =>
  boolFlag(
    'external-nodes',
    'Not a prefix of keys: the nodes that were registered through /v1/catalog/register.',
  );

function registerList(zone: Command): void {
  addClientFlags(
    zone
      .command('list')
      .summary('List the zones, their owners, and why they own them')
      .description('Lists the zones as one gateway knows them.')
      .addOption(jsonFlag()),
  ).action(async (flags: ClientFlags & JsonFlag) => {
    process.exitCode = await withGateway(flags, 'Error listing zones', async (client) => {
      if (flags.json === true) return askShownJson(client, '/v1/grapevine/zones');
      const zones = await readZones(client);
      return zones.ok ? ok(renderZones(zones.value, Date.now())) : zones;
    });
  });
}

function registerDelegate(zone: Command): void {
  addClientFlags(
    zone
      .command('delegate')
      .summary('Give a zone, or a part of one, to another gateway')
      .description(
        'Gives PREFIX to GATEWAY (a node name). PREFIX may be a zone of its own already, or any longer prefix of one,\n' +
          'which then becomes a zone. The present owner decides it, so it must be reachable; the order may be given to\n' +
          'any gateway. No write is lost: the owner stops taking writes, and the new owner takes them as soon as it has\n' +
          'all that came before; clients wait for that, usually one round trip.',
      )
      .argument('<prefix>', "keys that begin so; '' is the root zone")
      .argument('<gateway>', 'node name of the new owner')
      .addOption(externalFlag())
      .addOption(textFlag('wait', 'duration', 'How long to wait for the new owner to serve. Default: 30s.'))
      .addOption(jsonFlag()),
  )
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine zone delegate eu/ gw-frankfurt
  $ grapevine zone delegate eu/ gw-paris        # and on to the next one
  $ grapevine zone delegate -external-nodes '' gw-paris

Exit codes: 0 the new owner serves; 1 refused, or delegated but not serving yet (the message says which).`,
    )
    .action(async (prefix: string, gateway: string, flags: DelegateFlags) => {
      process.exitCode = await withGateway(flags, 'Error delegating', (client) =>
        delegate(client, prefix, gateway, flags),
      );
    });
}

function registerTakeover(zone: Command): void {
  addClientFlags(
    zone
      .command('takeover')
      .summary('Make a gateway the owner of a zone whose owner is gone')
      .description(
        'Makes the gateway that is asked (-http-addr) the owner of PREFIX, without asking the present owner. For an\n' +
          'owner that is gone for good, or for longer than you can wait.\n\n' +
          'What the old owner wrote and nobody else had seen is lost to the zone: when the old owner comes back, these\n' +
          'writes go to the conflicts (`grapevine zone conflicts`), to be looked at and replayed. While the old owner\n' +
          'still runs somewhere out of reach, its own clients go on writing there until it hears of this: cut it off\n' +
          'first if you can.',
      )
      .argument('<prefix>', "the zone; '' is the root zone")
      .requiredOption('--reason <text>', 'Why, for whoever asks later. It is kept with the zone.')
      .addOption(externalFlag())
      .addOption(boolFlag('force', 'Also from an owner that can be reached (delegate is better then).'))
      .addOption(jsonFlag()),
  )
    .addHelpText(
      'after',
      `
Example:
  $ grapevine zone takeover eu/ -reason='gw-frankfurt burnt down' -http-addr=gw-paris:8500`,
    )
    .action(async (prefix: string, flags: TakeoverFlags) => {
      process.exitCode = await withGateway(flags, 'Error taking over', (client) =>
        takeover(client, prefix, flags),
      );
    });
}

function registerConflicts(zone: Command): void {
  addClientFlags(
    zone
      .command('conflicts')
      .summary('List, export and replay writes that a takeover left behind')
      .description(
        'Lists what old owners wrote under a term that was over: kept by every gateway that saw it, never applied on\n' +
          'its own. Look at each, then replay what should count, as new writes over what is there now.',
      )
      .addOption(boolFlag('export', 'Print all as JSON, one a line, values in base64.'))
      .addOption(boolFlag('replay', 'Write them again: those of -id, or all that were not yet.'))
      .addOption(boolFlag('drop', 'Forget them: those of -id, or all that were replayed.'))
      .addOption(listFlag('id', 'id', 'One to replay, or to drop.'))
      .addOption(boolFlag('all', 'With -drop: also those that were not replayed.'))
      .addOption(jsonFlag()),
  )
    .addHelpText(
      'after',
      `
Examples:
  $ grapevine zone conflicts
  $ grapevine zone conflicts -export > conflicts.jsonl
  $ grapevine zone conflicts -replay -id=17 -id=18
  $ grapevine zone conflicts -drop               # those that were replayed here
  $ grapevine zone conflicts -drop -all -http-addr=gw-paris:8500

Every gateway keeps a list of its own: replay on one, then drop on each.
Exit codes: 0 done; 1 failed, or something could not be replayed.`,
    )
    .action(async (flags: ConflictFlags) => {
      process.exitCode = await withGateway(flags, 'Error with conflicts', (client) =>
        conflicts(client, flags),
      );
    });
}

export async function readZones(client: GatewayClient): Promise<Result<readonly ZoneRow[], string>> {
  return askJson<readonly ZoneRow[]>(client, 'GET', '/v1/grapevine/zones');
}

/** By prefix; what is wrong with a zone stands at the end of its line. */
export function renderZones(zones: readonly ZoneRow[], nowMs: number): string {
  if (zones.length === 0) {
    return 'No zones: this datacenter was not founded. Start its first gateway with -bootstrap.';
  }
  const rows = zones.map((zone) => [
    zoneName(zone),
    ownerName(zone),
    zone.Region === '' ? '-' : zone.Region,
    String(zone.Term),
    ago(zone.Since, nowMs) || '-',
    causeText(zone),
    zone.Problem === '' ? 'ok' : printable(zone.Problem),
  ]);
  return columns([['Zone', 'Owner', 'Region', 'Term', 'Since', 'By', 'State'], ...rows]);
}

export function zoneName({ Prefix, ExternalNodes }: Pick<ZoneRow, 'Prefix' | 'ExternalNodes'>): string {
  if (ExternalNodes) return '(external nodes)';
  return Prefix === '' ? '(root)' : printable(Prefix);
}

export function ownerName({ Owner, OwnerID }: Pick<ZoneRow, 'Owner' | 'OwnerID'>): string {
  return Owner === '' ? OwnerID : Owner;
}

export function causeText({ Cause, By, Reason }: ZoneRow): string {
  const by = By === '' ? '' : ` by ${By}`;
  return `${Cause}${by}${Reason === '' ? '' : `: ${printable(Reason)}`}`;
}

function named(
  prefix: string,
  flags: ZoneFlags,
): { readonly Prefix?: string; readonly ExternalNodes?: true } {
  return flags.externalNodes === true ? { ExternalNodes: true } : { Prefix: prefix };
}

/** The zone that a prefix is in: the longest that it begins with. */
function covering(zones: readonly ZoneRow[], prefix: string, flags: ZoneFlags): ZoneRow | undefined {
  if (flags.externalNodes === true) {
    return zones.find(({ ExternalNodes }) => ExternalNodes) ?? covering(zones, '', {});
  }
  return zones
    .filter((zone) => !zone.ExternalNodes && prefix.startsWith(zone.Prefix))
    .toSorted((a, b) => b.Prefix.length - a.Prefix.length)[0];
}

async function delegate(
  client: GatewayClient,
  prefix: string,
  gateway: string,
  flags: DelegateFlags,
): Promise<Result<string, string>> {
  const wait = parseGoDuration(flags.wait ?? '30s');
  if (!wait.ok) return err(`invalid -wait ${JSON.stringify(flags.wait)}`);
  const order = { ...named(prefix, flags), Gateway: gateway };
  const answer = await askJson<ZoneRow | null>(client, 'PUT', '/v1/grapevine/zones/delegate', order);
  if (!answer.ok) return answer;
  const deadlineMs = performance.now() + wait.value / 1e6;
  let zone = answer.value;
  while (zone?.Ready !== true && performance.now() < deadlineMs) {
    await new Promise((resolve) => setTimeout(resolve, pollMs));
    const zones = await readZones(client);
    if (!zones.ok) return zones;
    const now = covering(zones.value, prefix, flags);
    zone = now === undefined || now.ExternalNodes !== (flags.externalNodes === true) ? null : now;
  }
  if (zone?.Ready !== true) {
    return err(
      `delegated to ${gateway}, which does not serve it yet: ${zone?.Problem ?? 'its zone is not known here'}`,
    );
  }
  if (flags.json === true) return ok(JSON.stringify(zone, null, 2));
  return ok(`${zoneName(zone)} is owned by ${ownerName(zone)}, since term ${zone.Term}.`);
}

/** A handoff takes about a round trip. */
const pollMs = 200;

async function takeover(
  client: GatewayClient,
  prefix: string,
  flags: TakeoverFlags,
): Promise<Result<string, string>> {
  const zones = await readZones(client);
  if (!zones.ok) return zones;
  const before = covering(zones.value, prefix, flags);
  if (before?.Reachable === true && before.Ready && flags.force !== true) {
    const owner = ownerName(before);
    return err(
      `${owner} owns ${zoneName(before)} and can be reached: \`grapevine zone delegate\` loses nothing. ` +
        'To take over all the same, add -force',
    );
  }
  const order = { ...named(prefix, flags), Reason: flags.reason };
  const answer = await askJson<ZoneRow | null>(client, 'PUT', '/v1/grapevine/zones/takeover', order);
  if (!answer.ok) return answer;
  if (flags.json === true) return ok(JSON.stringify(answer.value, null, 2));
  const zone = answer.value;
  if (zone === null) return ok('Taken over.');
  const left =
    before === undefined
      ? ''
      : ` What ${ownerName(before)} had written and nobody had seen turns up in \`grapevine zone conflicts\` when it returns.`;
  return ok(`${zoneName(zone)} is owned by ${ownerName(zone)}, since term ${zone.Term}.${left}`);
}

interface Replayed {
  readonly ID: string;
  readonly Key: string;
  readonly Applied: boolean;
  readonly Error: string;
}

async function conflicts(client: GatewayClient, flags: ConflictFlags): Promise<Result<string, string>> {
  if (flags.export === true) return exportAll(client);
  if (flags.replay === true || flags.drop === true) {
    if (flags.replay === flags.drop) return err('-replay and -drop at once: replay first, look, then drop');
    const verb = flags.replay === true ? 'replay' : 'drop';
    if (flags.all === true && verb === 'replay') return err('-all goes with -drop');
    const ids = flags.all === true ? await allIds(client) : ok(flags.id);
    if (!ids.ok) return ids;
    if (ids.value?.length === 0) return ok('No conflicts.');
    const order = ids.value === undefined ? { All: true } : { IDs: ids.value };
    const answer = await askJson<readonly Replayed[]>(
      client,
      'PUT',
      `/v1/grapevine/zones/conflicts/${verb}`,
      order,
    );
    return answer.ok ? renderDone(answer.value, verb) : answer;
  }
  if (flags.id !== undefined) return err('-id goes with -replay or -drop');
  if (flags.json === true) return askShownJson(client, '/v1/grapevine/zones/conflicts');
  const answer = await askJson<readonly ConflictRow[]>(client, 'GET', '/v1/grapevine/zones/conflicts');
  return answer.ok ? ok(renderConflicts(answer.value)) : answer;
}

async function allIds(client: GatewayClient): Promise<Result<readonly string[], string>> {
  const ids: string[] = [];
  for (;;) {
    const after = encodeURIComponent(ids.at(-1) ?? '');
    const path = `/v1/grapevine/zones/conflicts?limit=1000&after=${after}`;
    const page = await askJson<readonly ConflictRow[]>(client, 'GET', path);
    if (!page.ok) return page;
    if (page.value.length === 0) return ok(ids);
    ids.push(...page.value.map(({ ID }) => ID));
  }
}

async function exportAll(client: GatewayClient): Promise<Result<string, string>> {
  const opened = await client.open('GET', '/v1/grapevine/zones/conflicts?export');
  if (!opened.ok) return opened;
  if (opened.value.statusCode !== 200) {
    opened.value.resume();
    return err(`Unexpected response code: ${opened.value.statusCode ?? 0}`);
  }
  try {
    for await (const chunk of opened.value) process.stdout.write(chunk as Buffer);
  } catch (error) {
    return err(`the export broke off: ${error instanceof Error ? error.message : String(error)}`);
  }
  return ok('');
}

export function renderConflicts(rows: readonly ConflictRow[]): string {
  if (rows.length === 0) return 'No conflicts.';
  const open = rows.filter(({ Replayed: replayed }) => !replayed).length;
  const lines = rows.map((row) => [
    row.ID,
    row.Kind,
    printable(row.Key),
    row.Deleted ? 'deleted' : row.Value === null ? 'written' : count(byteLength(row.Value), 'byte'),
    row.Written,
    row.Node,
    `${row.Term} < ${row.ZoneTerm}`,
    row.Replayed ? 'replayed' : 'open',
  ]);
  return (
    `${columns([['ID', 'Kind', 'Key', 'What', 'Written', 'By', 'Term', 'State'], ...lines])}\n` +
    `${count(open, 'open conflict')}. Values: -export. To write them again: -replay.`
  );
}

function byteLength(base64: string): number {
  return Buffer.from(base64, 'base64').length;
}

function renderDone(rows: readonly Replayed[], verb: 'replay' | 'drop'): Result<string, string> {
  const past = verb === 'replay' ? 'replayed' : 'dropped';
  const failed = rows.filter(({ Applied }) => !Applied);
  const applied = rows.length - failed.length;
  if (failed.length === 0) return ok(`${count(applied, 'conflict')} ${past}.`);
  const lines = failed.map(({ ID, Key, Error: why }) => `\n  ${ID} ${printable(Key)}: ${why}`);
  return err(`${past} ${applied} of ${rows.length}; these not:${lines.join('')}`);
}
