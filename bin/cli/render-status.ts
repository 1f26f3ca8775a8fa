import type { MemberRow, OriginRow, ZoneRow } from '../../compat/fleet/shapes.ts';
import { ago, columns, count, duration, roundTrip } from './table.ts';
import { causeText, ownerName, zoneName } from './zone.ts';

/** `/v1/grapevine/status`. */
export interface StatusView {
  readonly ClusterID: string;
  readonly Gateway: MemberRow & { readonly Version: string };
  readonly Leader: string;
  readonly Members: readonly MemberRow[];
  readonly Zones: readonly ZoneRow[];
  readonly Origins: readonly OriginRow[];
  readonly Index: number;
  readonly HealthScore: number;
  readonly Queues: readonly {
    readonly Name: string;
    readonly Length: number;
    readonly LengthMax: number;
    readonly Dropped: number;
  }[];
  readonly Conflicts: number;
  readonly Quarantined: number;
  readonly Divergence: { readonly Found: number; readonly Repaired: number; readonly Last: string | null };
  readonly Totals: Readonly<Record<string, number>>;
}

/** Rows of a part that are shown; of thousands of gateways the rest is counted. */
const rowsMax = 20;

/** Older proofs than this are worth a look: heartbeats come every second or so. Guess. */
const ageMsWorrying = 10_000;

/** One screen of text, and whether something on it needs a person. */
export function renderStatus(
  status: StatusView,
  nowMs: number,
): { readonly text: string; readonly attention: boolean } {
  const problems = problemsOf(status);
  const parts = [
    gateway(status),
    regions(status.Members),
    zones(status.Zones, nowMs),
    origins(status.Origins),
    queues(status),
    problems.length === 0
      ? 'Nothing needs attention.'
      : `Needs attention:\n${problems.map((line) => `  ! ${line}`).join('\n')}`,
  ];
  return { text: parts.filter((part) => part !== '').join('\n\n'), attention: problems.length > 0 };
}

function gateway({ Gateway: self, ClusterID, Leader, HealthScore }: StatusView): string {
  const where =
    self.Region === self.Datacenter ? self.Datacenter : `${self.Datacenter}, region ${self.Region}`;
  const health = HealthScore === 0 ? 'healthy' : `slow (score ${HealthScore})`;
  const cluster = ClusterID === '' ? 'no cluster' : `cluster ${ClusterID}`;
  const leader = Leader === '' ? 'nobody can be asked to write the root zone' : `root zone at ${Leader}`;
  return `${self.Name} (${self.Addr}, ${where}), Grapevine ${self.Version}, ${health}\n${cluster}; ${leader}`;
}

function regions(members: readonly MemberRow[]): string {
  const byRegion = new Map<string, MemberRow[]>();
  for (const member of members) byRegion.set(member.Region, [...(byRegion.get(member.Region) ?? []), member]);
  const rows = [...byRegion]
    .toSorted(([a], [b]) => (a < b ? -1 : 1))
    .map(([region, of]) => {
      const inState = (state: string): string => {
        const n = of.filter(({ State }) => State === state).length;
        return n === 0 ? '-' : String(n);
      };
      const trips = of
        .flatMap(({ RTTMs, Self }) => (RTTMs === null || Self ? [] : [RTTMs]))
        .toSorted((a, b) => a - b);
      const median = trips[Math.floor((trips.length - 1) / 2)] ?? null;
      return [region, ...['alive', 'suspect', 'failed', 'left'].map(inState), roundTrip(median)];
    });
  return columns([['Region', 'Alive', 'Suspect', 'Failed', 'Left', 'RTT'], ...rows]);
}

function zones(list: readonly ZoneRow[], nowMs: number): string {
  if (list.length === 0) return '';
  const rows = list
    .slice(0, rowsMax)
    .map((zone) => [
      zoneName(zone),
      ownerName(zone),
      zone.Region || '-',
      ago(zone.Since, nowMs) || '-',
      causeText(zone),
      zone.Problem || 'ok',
    ]);
  return columns([['Zone', 'Owner', 'Region', 'Since', 'By', 'State'], ...rows]) + rest(list.length, 'zone');
}

/** The worst first: who is furthest behind is what is looked for. */
function origins(list: readonly OriginRow[]): string {
  const active = list
    .filter(({ Active, Missing }) => Active || Missing > 0)
    .toSorted((a, b) => b.Missing - a.Missing || (b.AgeMs ?? Infinity) - (a.AgeMs ?? Infinity));
  if (active.length === 0) return '';
  const rows = active
    .slice(0, rowsMax)
    .map((origin) => [
      origin.Node || origin.NodeID,
      origin.Region || '-',
      String(origin.HeadKnown),
      origin.Missing === 0 ? '-' : String(origin.Missing),
      origin.AgeMs === null ? 'never proved' : duration(origin.AgeMs),
      gapText(origin),
    ]);
  return (
    columns([['Writer', 'Region', 'Entries', 'Missing', 'Complete as of', 'Gaps'], ...rows]) +
    rest(active.length, 'writer')
  );
}

export function gapText({ Gaps, Missing }: OriginRow): string {
  if (Gaps.length === 0) return '-';
  const shown = Gaps.slice(0, 3).map(({ From, To }) => (From === To ? `${From}` : `${From}-${To}`));
  const listed = Gaps.slice(0, 3).reduce((sum, { From, To }) => sum + To - From + 1, 0);
  return shown.join(', ') + (listed < Missing ? ', …' : '');
}

function queues({ Queues: list, Index }: StatusView): string {
  const busy = list.filter(({ Length, Dropped }) => Length > 0 || Dropped > 0);
  const texts = busy.map(({ Name, Length, LengthMax, Dropped }) => {
    const dropped = Dropped === 0 ? '' : `, ${Dropped} dropped`;
    return `${Name} ${Length}/${LengthMax}${dropped}`;
  });
  return `Index ${Index}. Queues: ${texts.length === 0 ? 'empty' : texts.join('; ')}.`;
}

function rest(length: number, noun: string): string {
  return length <= rowsMax ? '' : `\n  … and ${count(length - rowsMax, `more ${noun}`)}`;
}

function problemsOf(status: StatusView): readonly string[] {
  const { Members, Zones, Origins, Conflicts, Quarantined, Divergence } = status;
  const failed = Members.filter(({ State }) => State === 'failed').map(({ Name }) => Name);
  const behind = Origins.filter(({ Missing }) => Missing > 0).length;
  const old = Origins.filter(({ Active, AgeMs }) => Active && (AgeMs ?? Infinity) > ageMsWorrying).length;
  return [
    ...(Zones.length === 0
      ? ['no zone is known: this datacenter was not founded, or this gateway joined nobody']
      : []),
    ...Zones.filter(({ Problem }) => Problem !== '').map(
      (zone) => `nobody takes writes for ${zoneName(zone)}: ${zone.Problem}`,
    ),
    ...(failed.length === 0
      ? []
      : [
          `${count(failed.length, 'gateway')} failed: ${failed.slice(0, 5).join(', ')}${failed.length > 5 ? ', …' : ''}`,
        ]),
    ...(behind === 0 ? [] : [`entries of ${count(behind, 'writer')} are missing here, and being fetched`]),
    ...(old === 0
      ? []
      : [
          `${count(old, 'writer')} not heard of for more than ${duration(ageMsWorrying)}: what is read of them here may be old`,
        ]),
    ...(Conflicts === 0
      ? []
      : [
          `${count(Conflicts, 'write')} left behind by a takeover: \`grapevine zone conflicts\`, and -drop once they are dealt with`,
        ]),
    ...(Quarantined === 0
      ? []
      : [`${count(Quarantined, 'record')} quarantined: GET /v1/grapevine/quarantine`]),
    ...(Divergence.Found === 0
      ? []
      : [
          `state differed from a peer's ${count(Divergence.Found, 'time')}, ` +
            `${count(Divergence.Repaired, 'register')} repaired${Divergence.Last === null ? '' : `, last ${Divergence.Last}`}`,
        ]),
  ];
}
