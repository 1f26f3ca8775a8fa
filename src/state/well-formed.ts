import type { ReplicatedRecord } from '../crdt/dot.ts';
import { decode } from '../kernel/codec.ts';
import { firstLocalKind, Kind } from './kinds.ts';
import { phases } from './migration.ts';

/**
 * What is wrong with a record that came from another gateway, undefined when nothing is: whatever passes can be read
 * by everything that reads registers of its kind. Records of kinds that are not known here are kept and passed on as
 * they are: their writer is newer.
 */
export function recordProblem(record: ReplicatedRecord): string | undefined {
  if (record.kind >= firstLocalKind) return 'a kind that is never replicated';
  for (const name of ['kind', 'term', 'timeline', 'stamp', 'born'] as const) {
    if (!Number.isSafeInteger(record[name]) || record[name] < 0) return `${name} is not a whole number`;
  }
  if (record.value === null) return undefined;
  const form = forms[record.kind];
  if (form === undefined) return undefined;
  let value: unknown;
  try {
    value = decode(record.value);
  } catch {
    return 'the value is not MessagePack';
  }
  return form(value);
}

type Form = (value: unknown) => string | undefined;
type Test = (value: unknown) => boolean;

const isText: Test = (value) => typeof value === 'string';
const isNumber: Test = (value) => typeof value === 'number' && Number.isFinite(value);
const isTexts: Test = (value) => Array.isArray(value) && value.every(isText);
const isNumbers: Test = (value) => Array.isArray(value) && value.every(isNumber);
const isMap: Test = (value) => typeof value === 'object' && value !== null && !Array.isArray(value);
const orNull =
  (test: Test): Test =>
  (value) =>
    value === null || test(value);
const orLeftOut =
  (test: Test): Test =>
  (value) =>
    value === undefined || test(value);
const isUint: Test = (value) => Number.isSafeInteger(value) && (value as number) >= 0;

/** An object with at least these fields. */
function fields(tests: Readonly<Record<string, Test>>): Form {
  const entries = Object.entries(tests);
  return (value) => {
    if (!isMap(value)) return 'the value is not a map';
    for (const [name, test] of entries) {
      if (!test((value as Record<string, unknown>)[name]))
        return `the value's ${name} is not what it must be`;
    }
    return undefined;
  };
}

const isPhase: Test = (value) => (phases as readonly unknown[]).includes(value);

const isDot: Test = (value) =>
  isMap(value) &&
  isText((value as Record<string, unknown>)['origin']) &&
  isUint((value as Record<string, unknown>)['seq']);

const isFences: Test = (value) =>
  Array.isArray(value) &&
  value.every(
    (fence: unknown) =>
      isMap(fence) &&
      isText((fence as Record<string, unknown>)['origin']) &&
      /^(\d+(-\d+)?(,\d+(-\d+)?)*)?$/.test(String((fence as Record<string, unknown>)['seen'])),
  );

const isBasis: Test = (value) =>
  isMap(value) &&
  isText((value as Record<string, unknown>)['prefix']) &&
  isUint((value as Record<string, unknown>)['term']);

const source = fields({ id: isText, timeline: isUint });

const pastStep = {
  phase: isPhase,
  step: isUint,
  sinceMs: isUint,
  byNode: isText,
  reason: isText,
  overridden: isTexts,
};

const isPastStep = fields(pastStep);

const rule = fields({
  ...pastStep,
  of: (value) => value === 'kv' || value === 'catalog',
  prefix: isText,
  term: isUint,
  history: (value) => Array.isArray(value) && value.every((step) => isPastStep(step) === undefined),
});

const forms: Readonly<Record<number, Form>> = {
  [Kind.kv]: (value) => {
    if (!Array.isArray(value)) return 'the value is not a list';
    const [flags, lockIndex, session, bytes] = value as unknown[];
    const isFlags = typeof flags === 'bigint' ? flags >= 0n : isUint(flags);
    return isFlags && isUint(lockIndex) && isText(session) && bytes instanceof Uint8Array
      ? undefined
      : 'the value is not that of a key';
  },
  [Kind.session]: fields({
    id: isText,
    name: isText,
    node: isText,
    lockDelayNs: isNumber,
    behavior: isText,
    ttl: isText,
    nodeChecks: orNull(isTexts),
    serviceChecks: orNull((value) => Array.isArray(value) && value.every(isMap)),
    checks: orLeftOut(orNull(isTexts)),
  }),
  [Kind.node]: fields({
    id: isText,
    node: isText,
    address: isText,
    taggedAddresses: orNull(isMap),
    meta: orNull(isMap),
  }),
  [Kind.service]: fields({
    node: isText,
    id: isText,
    service: isText,
    tags: isTexts,
    address: isText,
    taggedAddresses: orNull(isMap),
    port: isNumber,
    meta: orNull(isMap),
    weights: isMap,
    extra: isText,
  }),
  [Kind.check]: fields({
    node: isText,
    checkId: isText,
    name: isText,
    status: isText,
    notes: isText,
    output: isText,
    serviceId: isText,
    serviceName: isText,
    serviceTags: isTexts,
    type: isText,
    definition: isText,
  }),
  [Kind.coordinate]: fields({
    node: isText,
    segment: isText,
    vec: isNumbers,
    error: isNumber,
    adjustment: isNumber,
    height: isNumber,
  }),
  [Kind.zone]: fields({
    prefix: isText,
    ownerId: isText,
    term: isUint,
    basis: orLeftOut(isBasis),
    fences: orLeftOut(isFences),
    by: orLeftOut(isDot),
    lent: orLeftOut((value) => value === true),
  }),
  // Of the source, or of a rule.
  [Kind.migration]: (value) =>
    isMap(value) && 'timeline' in (value as object) ? source(value) : rule(value),
};
