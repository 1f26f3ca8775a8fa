import fc from 'fast-check';
import { coordinateOrigin } from '../../src/swim/coordinates.ts';
import type { MemberUpdate, SwimMessage } from '../../src/swim/messages.ts';
import { factsOf, idOf } from './pool.ts';

// What may come from members that are older, newer, broken or hostile, though their messages can be decoded.

const number = fc.integer({ min: 0, max: 6 });
const id = number.map(idOf);
const uint32 = fc.oneof(fc.nat(5), fc.nat(2 ** 32 - 1));
const incarnation = fc.oneof({ weight: 8, arbitrary: fc.nat(8) }, { weight: 1, arbitrary: fc.nat(2 ** 48) });
const state = fc.constantFrom('alive', 'suspect', 'failed', 'left', 'pruned');

const facts = fc
  .record({ n: number, name: fc.option(number, { nil: undefined }), port: fc.nat(3), tag: fc.nat(3) })
  .map(({ n, name, port, tag }) =>
    factsOf(n, {
      ...(name === undefined ? {} : { name: `NODE-${name}` }),
      endpoint: { address: `10.0.0.${n}`, port: 8301 + port },
      tags: { tag: `${tag}` },
    }),
  );

const coordinate = fc.option(
  fc
    .array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 8, maxLength: 8 })
    .map((vec) => ({ ...coordinateOrigin, vec, height: Math.fround(coordinateOrigin.height) })),
);

export const anyUpdate: fc.Arbitrary<MemberUpdate> = fc.record({
  ...{ id, incarnation, state, factsIncarnation: incarnation },
  ...{ facts: fc.option(facts), by: fc.option(id), ageMs: fc.oneof(fc.nat(1000), fc.nat(2 ** 42)) },
});

const updates = fc.array(anyUpdate, { maxLength: 6 });
const introduction = {
  ...{ seq: uint32, run: uint32, cluster: fc.constantFrom('', 'cafe', 'beef'), incarnation },
  ...{ factsIncarnation: incarnation, facts, digest: uint32, members: fc.nat(20) },
};

function of<K extends SwimMessage['kind']>(
  kind: K,
  fields: { [F in Exclude<keyof Extract<SwimMessage, { kind: K }>, 'kind'>]: fc.Arbitrary<unknown> },
): fc.Arbitrary<SwimMessage> {
  return fc.record({ kind: fc.constant(kind), ...fields }) as unknown as fc.Arbitrary<SwimMessage>;
}

export const anyMessage: fc.Arbitrary<SwimMessage> = fc.oneof(
  of('ping', { seq: uint32, sender: id, target: id, stream: fc.boolean(), coordinate, updates }),
  of('ack', {
    ...{ seq: uint32, sender: id, run: uint32, stream: fc.boolean(), relayed: fc.boolean() },
    ...{ coordinate, updates },
  }),
  of('ping-req', {
    ...{ seq: uint32, sender: id, target: id, nackAfterMs: fc.nat(600_000) },
    endpoint: facts.map(({ endpoint }) => endpoint),
  }),
  of('nack', { seq: uint32, sender: id }),
  of('gossip', { sender: id, updates }),
  of('push-pull', introduction),
  of('push-pull-reply', introduction),
  of('refusal', {
    ...{ seq: uint32, cluster: fc.string({ maxLength: 16 }), text: fc.string({ maxLength: 40 }) },
    reason: fc.constantFrom('cluster', 'name', 'id', 'protocol', 'full', 'foreign'),
  }),
  of('summary', {
    ...{ sender: id, from: fc.constantFrom('', idOf(3)), to: fc.constantFrom('', idOf(4)) },
    entries: fc.array(fc.record({ id, incarnation, state, factsIncarnation: incarnation }), { maxLength: 6 }),
  }),
  of('want', { sender: id, ids: fc.array(id, { maxLength: 6 }) }),
  of('members', { sender: id, updates }),
);
