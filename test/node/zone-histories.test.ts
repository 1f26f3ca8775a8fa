import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { OriginId } from '../../src/crdt/dot.ts';
import { hasSeq, type SeqRanges } from '../../src/crdt/seq-ranges.ts';
import { Kind } from '../../src/state/kinds.ts';
import { decodeKv } from '../../src/state/values.ts';
import { readGrants, Zones } from '../../src/state/zones.ts';
import { converge, Gateway } from './fleet.ts';
import { put } from './machine.ts';

const prefixes = ['', 'a/', 'a/b/', 'c/'] as const;
const keys = ['x', 'a/x', 'a/b/x', 'c/x'] as const;
const names = ['p', 'q', 'r'] as const;

type Op =
  | { readonly op: 'put'; readonly at: number; readonly key: string }
  | { readonly op: 'delete'; readonly at: number; readonly key: string }
  | {
      readonly op: 'delegate' | 'takeover';
      readonly at: number;
      readonly prefix: string;
      readonly to: number;
    }
  | { readonly op: 'deliver'; readonly at: number; readonly from: number; readonly picks: readonly number[] }
  | { readonly op: 'pull' | 'join'; readonly at: number; readonly from: number }
  | { readonly op: 'restart'; readonly at: number };

const gateway = fc.nat(names.length - 1);

function opArbitrary(takeovers: boolean): fc.Arbitrary<Op> {
  const moves = fc.record({
    op: takeovers
      ? fc.constantFrom('delegate' as const, 'takeover' as const)
      : fc.constant('delegate' as const),
    at: gateway,
    prefix: fc.constantFrom(...prefixes),
    to: gateway,
  });
  return fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({ op: fc.constant('put' as const), at: gateway, key: fc.constantFrom(...keys) }),
    },
    {
      weight: 2,
      arbitrary: fc.record({
        op: fc.constant('delete' as const),
        at: gateway,
        key: fc.constantFrom(...keys),
      }),
    },
    { weight: 3, arbitrary: moves },
    {
      weight: 6,
      arbitrary: fc.record({
        op: fc.constant('deliver' as const),
        at: gateway,
        from: gateway,
        picks: fc.array(fc.nat(30), { minLength: 1, maxLength: 4 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ op: fc.constant('pull' as const), at: gateway, from: gateway }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('join' as const), at: gateway, from: gateway }) },
    { weight: 1, arbitrary: fc.record({ op: fc.constant('restart' as const), at: gateway }) },
  );
}

interface Accepted {
  readonly key: string;
  /** `undefined`: a deletion. */
  readonly text: string | undefined;
  readonly term: number;
  readonly origin: OriginId;
  readonly seq: number;
  readonly nodeId: string;
  /** What its writer had seen. */
  readonly after: ReadonlyMap<OriginId, SeqRanges>;
}

interface Run {
  readonly gateways: readonly Gateway[];
  readonly accepted: readonly Accepted[];
}

function run(ops: readonly Op[]): Run {
  const gateways = names.map((name) => new Gateway(name));
  const accepted: Accepted[] = [];
  gateways[0]?.found();
  let count = 0;
  for (const step of ops) {
    const at = gateways[step.at] as Gateway;
    switch (step.op) {
      case 'put':
      case 'delete': {
        count += 1;
        const text = step.op === 'put' ? String.fromCodePoint(0x4e00 + count) : undefined;
        const before = at.replica.headSeq;
        const outcome = at.do(
          text === undefined ? { kind: 'kv-delete', key: step.key } : put(step.key, text),
        );
        if (outcome.kind !== 'kv' || at.replica.headSeq === before) break;
        const { term = 0 } = at.store.get(Kind.kv, step.key) ?? {};
        const { origin, headSeq: seq } = at.replica;
        const after = new Map([...at.replica.origins()].map((log) => [log.origin, log.seen]));
        accepted.push({ key: step.key, text, term, origin, seq, nodeId: at.nodeId, after });
        break;
      }
      case 'delegate':
        at.do({
          kind: 'zone-delegate',
          prefix: step.prefix,
          toNodeId: (gateways[step.to] as Gateway).nodeId,
        });
        break;
      case 'takeover':
        at.do({ kind: 'zone-takeover', prefix: step.prefix, reason: 'test' });
        break;
      case 'deliver': {
        const from = gateways[step.from] as Gateway;
        const dots = from.dotsFor(at);
        for (const pick of step.picks) {
          const dot = dots[pick % dots.length];
          if (dot !== undefined) at.merge(dot, from);
        }
        break;
      }
      case 'pull':
        at.pull(gateways[step.from] as Gateway);
        break;
      case 'join':
        if (step.at !== step.from) at.join(gateways[step.from] as Gateway);
        break;
      case 'restart':
        at.restarted();
    }
  }
  return { gateways, accepted };
}

function textOf(at: Gateway, key: string): string | undefined {
  return textIn(at.store.get(Kind.kv, key)?.value);
}

function textIn(value: Uint8Array | null | undefined): string | undefined {
  return value ? new TextDecoder().decode(decodeKv(value).value) : undefined;
}

function expectAlike(gateways: readonly Gateway[]): void {
  converge(gateways);
  const [first] = gateways as [Gateway];
  for (const each of gateways) {
    expect(each.state()).toEqual(first.state());
    expect(each.replica.zones).toEqual(first.replica.zones);
    expect(each.store.setAside('quarantine', 0, 9)).toEqual([]);
  }
  const owners = new Map<string, string>();
  for (const { prefix, term, ownerId } of readGrants(first.store)) {
    expect(owners.get(`${prefix} ${term}`) ?? ownerId).toBe(ownerId);
    owners.set(`${prefix} ${term}`, ownerId);
  }
}

test('whatever zones are handed over and whatever arrives when, no accepted write is undone', () => {
  fc.assert(
    fc.property(fc.array(opArbitrary(false), { maxLength: 60 }), (ops) => {
      const { gateways, accepted } = run(ops);
      expectAlike(gateways);
      for (const key of keys) {
        const last = accepted.findLast((write) => write.key === key);
        for (const each of gateways) {
          expect(textOf(each, key)).toBe(last?.text);
          expect(each.store.setAsideCount('conflicts').now).toBe(0);
        }
      }
    }),
    { numRuns: 150 },
  );
});

/** What was accepted and is neither in the state nor kept aside nor written over by who knew of it. */
function unexplained({ gateways, accepted }: Run): readonly string[] {
  const [first] = gateways as [Gateway];
  const zones = new Zones(readGrants(first.store));
  const problems: string[] = [];
  const conflicts = gateways.flatMap(({ store }) => store.setAside('conflicts', 0, Infinity));
  for (const key of keys) {
    for (const { origin } of first.replica.origins()) {
      const last = accepted.findLast((write) => write.key === key && write.origin === origin);
      if (last === undefined) continue;
      const verdict = zones.judge(Kind.kv, key, last.term, last);
      const ofKey = conflicts.filter((each) => each.key === key);
      if (verdict.kind === 'legitimate') {
        const kept = ofKey.some((each) => each.origin === origin && each.seq === last.seq);
        if (kept) problems.push(`${key} of ${origin} is right, and a conflict`);
        continue;
      }
      if (verdict.kind !== 'over') problems.push(`${key} of ${origin} is ${verdict.kind}`);
      // Under whatever dot: not knowing, others may have said it once more under their own term.
      const isKept = ofKey.some(({ value }) => textIn(value) === last.text);
      // Or gave way to a write that was right then, and is kept aside in its place now.
      const overwritten = accepted.some(
        (write) =>
          write.key === key &&
          write.origin !== origin &&
          (hasSeq(write.after.get(origin) ?? [], last.seq) ||
            (write.term > last.term && zones.judge(Kind.kv, key, write.term, write).kind === 'over')),
      );
      if (!isKept && !overwritten) problems.push(`${key} of ${origin} is lost`);
    }
    const value = textOf(first, key);
    const isSomebodys = value === undefined || accepted.some(({ text }) => text === value);
    if (!isSomebodys) problems.push(`${key} has a value that nobody wrote`);
  }
  return problems;
}

test('whatever zones are taken over on whatever side, all come to one state, and what counts no more is kept aside', () => {
  fc.assert(
    fc.property(fc.array(opArbitrary(true), { maxLength: 60 }), (ops) => {
      const ran = run(ops);
      expectAlike(ran.gateways);
      expect(unexplained(ran)).toEqual([]);
    }),
    { numRuns: 300 },
  );
});
