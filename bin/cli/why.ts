import type { Command } from 'commander';
import type { OriginRow, ZoneRow } from '../../compat/fleet/shapes.ts';
import { ok } from '../../src/kernel/result.ts';
import { askJson, askShownJson, jsonFlag, withGateway, type JsonFlag } from './fleet-client.ts';
import { addClientFlags, type ClientFlags } from './http-client.ts';
import { gapText } from './render-status.ts';
import { ago, count, duration, printable } from './table.ts';
import { causeText, ownerName, zoneName } from './zone.ts';

/** `/v1/grapevine/why/kv/:key`. */
export interface Why {
  readonly Key: string;
  readonly Exists: boolean;
  readonly Deleted: boolean;
  readonly Bytes: number | null;
  readonly Session: string;
  readonly ModifyIndex: number | null;
  readonly Version: { readonly Term: number; readonly Written: string | null; readonly Stamp: number } | null;
  readonly Writer: {
    readonly Node: string;
    readonly NodeID: string;
    readonly Region: string;
    readonly Origin: string;
    readonly Seq: number;
  } | null;
  readonly Zone: ZoneRow | null;
  readonly KnownLeader: boolean;
  readonly LastContactMs: number;
  readonly OwnerLogs: readonly OriginRow[];
  readonly Behind: readonly OriginRow[];
}

export function registerWhy(program: Command): void {
  addClientFlags(
    program
      .command('why')
      .summary('Say where the value of a key comes from, who decides it, and how fresh it is')
      .description(
        'Explains what one gateway shows of KEY: who wrote it and when, which gateway may write it now and why, how old\n' +
          'the newest proof is that nothing of it is missing here, and what is known to be missing.',
      )
      .argument('<key>', 'key of the KV store')
      .addOption(jsonFlag()),
  )
    .addHelpText(
      'after',
      `
Example:
  $ grapevine why eu/config/limits -http-addr=gw-tokyo:8500`,
    )
    .action(async (key: string, flags: ClientFlags & JsonFlag) => {
      const path = `/v1/grapevine/why/kv/${key.split('/').map(encodeURIComponent).join('/')}`;
      process.exitCode = await withGateway(flags, 'Error asking why', async (client) => {
        if (flags.json === true) return askShownJson(client, path);
        const why = await askJson<Why>(client, 'GET', path);
        return why.ok ? ok(renderWhy(why.value, Date.now())) : why;
      });
    });
}

export function renderWhy(why: Why, nowMs: number): string {
  return [
    `${printable(why.Key)}: ${contents(why)}`,
    `  written   ${written(why, nowMs)}`,
    `  decided   ${decided(why.Zone, nowMs)}`,
    `  fresh     ${fresh(why)}`,
    `  missing   ${missing(why)}`,
  ].join('\n');
}

function contents({ Exists, Deleted, Bytes, Session, ModifyIndex }: Why): string {
  if (!Exists) return Deleted ? `deleted, ModifyIndex ${ModifyIndex}` : 'never heard of here';
  const locked = Session === '' ? '' : `, locked by session ${Session}`;
  return `${count(Bytes ?? 0, 'byte')}, ModifyIndex ${ModifyIndex}${locked}`;
}

function written({ Version, Writer }: Why, nowMs: number): string {
  if (Version === null || Writer === null) return 'by nobody that this gateway knows of';
  const name = Writer.Node || Writer.NodeID || 'a gateway that is not known any more';
  const by = Writer.Region === '' ? name : `${name} (${Writer.Region})`;
  const log = `entry ${Writer.Seq} of its log, term ${Version.Term}`;
  if (Version.Written === null)
    return `by a source Consul, at its index ${Version.Stamp}; passed on by ${by}`;
  return `${Version.Written} (${ago(Version.Written, nowMs)}) by ${by}: ${log}`;
}

function decided(zone: ZoneRow | null, nowMs: number): string {
  if (zone === null) return 'by nobody: this datacenter was not founded, or this gateway joined nobody';
  const since = ago(zone.Since, nowMs);
  const place = zone.Region === '' ? '' : ` (${zone.Region})`;
  const state = zone.Problem === '' ? 'it can be reached' : zone.Problem;
  return (
    `by ${ownerName(zone)}${place}, who owns ${zoneName(zone)} since term ${zone.Term}` +
    `${since === '' ? '' : `, ${since}`} (${causeText(zone)}); ${state}`
  );
}

/** More than this stands for "never" in LastContact. */
const neverMs = 30 * 86_400_000;

function fresh({ KnownLeader, LastContactMs, Zone: zone }: Why): string {
  const owner = zone === null ? 'the owner' : ownerName(zone);
  const leader = KnownLeader ? '' : '; the owner cannot be asked now';
  if (LastContactMs >= neverMs) return `not proved since this gateway started${leader}`;
  if (LastContactMs === 0 && KnownLeader) return 'the newest there is: this gateway decides it';
  return `all that ${owner} had written up to ${duration(LastContactMs)} ago is here${leader}`;
}

function missing({ OwnerLogs, Behind }: Why): string {
  const ofOwner = OwnerLogs.filter(({ Missing }) => Missing > 0);
  if (ofOwner.length > 0) {
    return ofOwner
      .map(
        (log) =>
          `${count(log.Missing, 'entry', 'entries')} of ${log.Node || log.NodeID} (${gapText(log)}): this key may be among them`,
      )
      .join('; ');
  }
  return Behind.length === 0
    ? 'nothing that is known'
    : `nothing of the owner; entries of ${count(Behind.length, 'other gateway')}`;
}
