import type { Dot } from '../../../src/crdt/dot.ts';
import { Kind } from '../../../src/state/kinds.ts';
import { ReplicaCore } from '../../../src/node/replica-core.ts';
import { matchesIndex } from '../../../src/state/kv.ts';
import { zoneOf, Zones } from '../../../src/state/zones.ts';
import type { WorkloadMix } from './clients.ts';
import type { Mutation } from './mutation.ts';
import { Rng } from './rng.ts';

const quiet: WorkloadMix = {
  ...{ put: 0, cas: 0, remove: 0, removeTree: 0, txn: 0 },
  ...{ consistentRead: 0, localRead: 0, lock: 0, session: 0, catalog: 0 },
};

/**
 * Gateways broken on purpose, each in a way in which real ones have been broken. What they all have in common: nothing
 * fails at once, and no single gateway could notice.
 */
export const mutations: readonly Mutation[] = [
  {
    name: 'what arrives is merged by its stamp, whatever its term',
    machine: ({ replica }) => {
      const merge = replica.merge.bind(replica);
      replica.merge = (dot, now) =>
        merge(
          {
            ...dot,
            records: dot.records.map((record) => {
              const term = replica.view.get(record.kind as Kind, record.key)?.term ?? record.term;
              return record.kind === Kind.kv ? { ...record, term } : record;
            }),
          },
          now,
        );
    },
  },
  {
    name: 'answers and messages leave before the transaction is on disk',
    faults: ['crash-before-commit'],
    releasesFirst: true,
  },
  {
    name: 'some dots count as seen though they were dropped',
    machine: ({ replica }, { name }) => {
      const rng = new Rng(`drop ${name}`);
      const merge = replica.merge.bind(replica);
      replica.merge = (dot, now) => merge(rng.chance(0.05) ? { ...dot, records: [] } : dot, now);
    },
  },
  {
    name: 'transactions are applied by halves',
    machine: ({ replica }) => {
      const merge = replica.merge.bind(replica);
      replica.merge = (dot, now) => merge(half(dot), now);
    },
  },
  {
    name: 'a write is answered before it is applied where it was asked for',
    machine: ({ questions }) => {
      questions.hasUpTo = () => true;
    },
  },
  {
    name: 'a CAS is decided where it is asked for, then sent to the owner as a plain write',
    machine: (machine, { nodeId }) => {
      const step = machine.step.bind(machine);
      machine.step = (input, now) => {
        if (input.kind !== 'command' || input.command.kind !== 'kv-put') return step(input, now);
        const { command } = input;
        if (command.mode.kind !== 'cas') return step(input, now);
        if (zoneOf(machine.replica.zones, command.key)?.ownerId === nodeId) return step(input, now);
        const row = machine.replica.view.get(Kind.kv, command.key);
        const { index } = command.mode;
        const fits = row?.value ? matchesIndex(row, index) : index === 0n;
        return step(fits ? { ...input, command: { ...command, mode: { kind: 'plain' } } } : input, now);
      };
    },
  },
  {
    name: 'tombstones are dropped at once',
    machine: (machine, gateway) => {
      const endBatch = machine.endBatch.bind(machine);
      machine.endBatch = (now) => {
        endBatch(now);
        for (const { kind, key } of gateway.store.tombstones(Infinity, 100)) gateway.store.remove(kind, key);
      };
    },
  },
  {
    name: 'a new owner writes before it has all that the old one wrote',
    faults: ['handoff', 'loss-burst'],
    // One key, always written and read somewhere while its zone is handed on.
    plan: {
      ...{ thinkMs: 20, clientsPerGateway: 2, keysPerPrefix: 1, zones: 0, faultEveryMs: 500 },
      links: { loss: 0.3 },
      mix: { ...quiet, put: 1, consistentRead: 2 },
    },
    install: () => {
      const { missing } = ReplicaCore.prototype;
      ReplicaCore.prototype.missing = () => [];
      return () => {
        ReplicaCore.prototype.missing = missing;
      };
    },
  },
  {
    name: 'the incarnation begins anew with every start',
    faults: ['crash'],
    options: (options) => ({ ...options, incarnation: 0 }),
  },
  {
    name: 'freshness is claimed, not proved',
    machine: ({ replication }) => {
      replication.freshness = () => ({ ageMs: 0 });
    },
  },
  {
    name: 'what stragglers relay counts after their zone was taken back, too',
    faults: ['partition-set'],
    plan: { lentZones: 2, faultEveryMs: 900 },
    install: () => {
      const { judge } = Zones.prototype;
      Zones.prototype.judge = function (kind, key, term, writer) {
        const verdict = judge.call(this, kind, key, term, writer);
        return verdict.kind === 'over' ? { kind: 'legitimate' } : verdict;
      };
      return () => {
        Zones.prototype.judge = judge;
      };
    },
  },
  {
    name: 'a relay counts under the term that its zone has where it arrives',
    faults: [],
    plan: { lentZones: 2 },
    machine: ({ replica }) => {
      const merge = replica.merge.bind(replica);
      replica.merge = (dot, now) => {
        const records = dot.records.map((record) => {
          const zone = record.timeline > 0 ? zoneOf(replica.zones, record.key) : undefined;
          return zone === undefined ? record : { ...record, term: zone.term };
        });
        return merge({ ...dot, records }, now);
      };
    },
  },
  {
    name: 'a restored gateway goes on under its old origin',
    faults: ['restore-backup'],
    machine: ({ replica }) => {
      replica.remint = () => {};
    },
  },
];

function half(dot: Dot): Dot {
  return dot.records.length < 2 ? dot : { ...dot, records: dot.records.slice(0, dot.records.length >> 1) };
}
