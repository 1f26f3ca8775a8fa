import { originForm, type OriginId } from '../crdt/dot.ts';
import type { Command } from '../state/command.ts';
import {
  phases,
  type MigrationCommand,
  type MigrationKind,
  type MigrationSource,
} from '../state/migration.ts';
import type { KvVerb, CatalogVerb, TxnOp } from '../state/txn.ts';
import type { CheckValue, CoordinateValue, NodeValue, ServiceValue, SessionValue } from '../state/values.ts';
import {
  bytes,
  finite,
  flag,
  hexId,
  list,
  MalformedError,
  nullable,
  oneOf,
  optional,
  struct,
  text,
  textMap,
  uint,
  union,
  type Schema,
} from '../wire/schema.ts';
import { nodeIdForm } from '../swim/member.ts';

// Commands that a gateway hands to the owner of their zone. The bounds are above what the HTTP API lets in, so that
// a limit that an operator raised here is not met again there.

const name = text(1024);
const longText = text(1024 * 1024);
const key = text(64 * 1024);
const valueBytesMax = 8 * 1024 * 1024;

/** An unsigned 64-bit number: flags, and indexes as clients give them. */
const uint64: Schema<bigint> = {
  pack: (value) => (value <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(value) : BigInt.asIntN(64, value)),
  unpack: (raw, at) => {
    if (typeof raw === 'bigint') return BigInt.asUintN(64, raw);
    if (typeof raw === 'number' && Number.isSafeInteger(raw) && raw >= 0) return BigInt(raw);
    throw new MalformedError(`${at}: not a uint64`);
  },
};

/** A field that may be absent altogether, and then is absent after decoding too. */
function absent<T>(inner: Schema<T>): Schema<T | undefined> {
  return {
    pack: (value) => (value === undefined ? null : inner.pack(value)),
    unpack: (raw, at) => (raw === null || raw === undefined ? undefined : inner.unpack(raw, at)),
  };
}

/** Drops the fields that `absent` left undefined: the types say that they are not there. */
function dense<T extends object>(inner: Schema<{ [K in keyof T]: T[K] | undefined }>): Schema<T> {
  return {
    pack: (value) => inner.pack(value),
    unpack: (raw, at) =>
      Object.fromEntries(
        Object.entries(inner.unpack(raw, at)).filter(([, value]) => value !== undefined),
      ) as T,
  };
}

function mapOf<T>(inner: Schema<T>, entriesMax: number): Schema<Readonly<Record<string, T>>> {
  const pairs = list(struct<{ name: string; value: T }>({ name, value: inner }), entriesMax);
  return {
    pack: (value) => pairs.pack(Object.entries(value).map(([entry, of]) => ({ name: entry, value: of }))),
    unpack: (raw, at) => Object.fromEntries(pairs.unpack(raw, at).map((pair) => [pair.name, pair.value])),
  };
}

const meta = nullable(textMap(1024, 64 * 1024));

const node: Schema<NodeValue> = dense<NodeValue>(
  struct({
    id: text(64),
    node: name,
    address: name,
    taggedAddresses: meta,
    meta,
    sourceDigest: absent(text(128)),
  }),
);

const service: Schema<ServiceValue> = dense<ServiceValue>(
  struct({
    node: name,
    id: name,
    service: name,
    tags: list(longText, 10_000),
    address: name,
    taggedAddresses: nullable(
      mapOf(struct<{ address: string; port: number }>({ address: name, port: finite }), 64),
    ),
    port: finite,
    meta,
    weights: struct<{ passing: number; warning: number }>({ passing: finite, warning: finite }),
    enableTagOverride: flag,
    extra: longText,
    sourceDigest: absent(text(128)),
  }),
);

const check: Schema<CheckValue> = dense<CheckValue>(
  struct({
    node: name,
    checkId: name,
    name,
    status: name,
    notes: longText,
    output: longText,
    serviceId: name,
    serviceName: name,
    serviceTags: list(longText, 10_000),
    type: name,
    definition: longText,
    sourceDigest: absent(text(128)),
  }),
);

const coordinate: Schema<CoordinateValue> = struct<CoordinateValue>({
  node: name,
  segment: name,
  vec: list(finite, 64),
  error: finite,
  adjustment: finite,
  height: finite,
});

const session: Schema<SessionValue> = dense<SessionValue>(
  struct({
    id: text(64),
    name: longText,
    node: name,
    lockDelayNs: finite,
    behavior: oneOf('release', 'delete'),
    ttl: text(64),
    nodeChecks: nullable(list(name, 1024)),
    serviceChecks: nullable(
      list(struct<{ id: string; namespace: string }>({ id: name, namespace: name }), 1024),
    ),
    checks: absent(list(name, 1024)),
  }),
);

const kvVerbs = oneOf<KvVerb>(
  'set',
  'delete',
  'delete-cas',
  'delete-tree',
  'cas',
  'lock',
  'unlock',
  'get',
  'get-tree',
  'get-or-empty',
  'check-session',
  'check-index',
  'check-not-exists',
);
const catalogVerb = oneOf<CatalogVerb>('get', 'set', 'cas', 'delete', 'delete-cas');
const catalogOp = { verb: catalogVerb, index: uint64, invalid: optional(longText, '') };

const txnOp = union<TxnOp>({
  kv: [
    1,
    struct({
      verb: kvVerbs,
      key,
      value: bytes(valueBytesMax),
      flags: uint64,
      index: uint64,
      session: text(256),
    }),
  ],
  node: [2, withoutEmpty(struct({ ...catalogOp, node }))],
  service: [3, withoutEmpty(struct({ ...catalogOp, service }))],
  check: [4, withoutEmpty(struct({ ...catalogOp, check }))],
  unknown: [
    5,
    withoutEmpty(
      struct({ of: oneOf('kv', 'node', 'service', 'check'), verb: name, invalid: optional(longText, '') }),
    ),
  ],
} as never);

/** `invalid` is absent where nothing is. */
function withoutEmpty<T extends { invalid: string }>(
  inner: Schema<T>,
): Schema<Omit<T, 'invalid'> & { invalid?: string }> {
  return {
    pack: (value) => inner.pack({ ...value, invalid: value.invalid ?? '' } as T),
    unpack: (raw, at) => {
      const { invalid, ...rest } = inner.unpack(raw, at);
      return invalid === '' ? rest : { ...rest, invalid };
    },
  };
}

const putMode = union<Extract<Command, { kind: 'kv-put' }>['mode']>({
  plain: [1, struct({})],
  cas: [2, struct({ index: uint64 })],
  acquire: [3, struct({ session: text(256) })],
  release: [4, struct({ session: text(256) })],
});

export type ForwardedCommand = Extract<
  Command,
  {
    kind:
      | 'kv-put'
      | 'kv-delete'
      | 'kv-delete-tree'
      | 'txn'
      | 'session-create'
      | 'session-destroy'
      | 'catalog-register'
      | 'catalog-deregister'
      | 'coordinate-update'
      | 'zone-delegate'
      | MigrationCommand['kind'];
  }
>;

const migrationKind = oneOf<MigrationKind>('kv', 'catalog');
const originId = hexId<OriginId>(originForm);
const remark = text(4096);

export const forwardedCommand: Schema<ForwardedCommand> = union<ForwardedCommand>({
  'kv-put': [1, struct({ key, flags: uint64, value: bytes(valueBytesMax), mode: putMode })],
  'kv-delete': [2, dense(struct({ key, cas: absent(uint64) }))],
  'kv-delete-tree': [3, struct({ prefix: key })],
  txn: [4, struct({ ops: list(txnOp, 1024) })],
  'session-create': [5, struct({ session })],
  'session-destroy': [6, struct({ id: text(64) })],
  'catalog-register': [
    7,
    dense(struct({ node, skipNodeUpdate: flag, service: absent(service), checks: list(check, 10_000) })),
  ],
  'catalog-deregister': [8, struct({ node: name, serviceId: name, checkId: name })],
  'coordinate-update': [9, struct({ coordinate })],
  'zone-delegate': [10, struct({ prefix: key, toNodeId: hexId(nodeIdForm) })],
  'migration-step': [
    11,
    struct({
      ...{ of: migrationKind, prefix: key, phase: oneOf(...phases), expectStep: uint() },
      ...{ reason: remark, overridden: list(remark, 64) },
      fences: list(struct<{ origin: OriginId; seq: number }>({ origin: originId, seq: uint() }), 4096),
    }),
  ],
  'migration-forget': [12, struct({ of: migrationKind, prefix: key, expectStep: uint() })],
  'migration-source': [13, struct({ source: struct<MigrationSource>({ id: remark, timeline: uint() }) })],
} as never);

const forwardable: ReadonlySet<string> = new Set<ForwardedCommand['kind']>([
  'kv-put',
  'kv-delete',
  'kv-delete-tree',
  'txn',
  'session-create',
  'session-destroy',
  'catalog-register',
  'catalog-deregister',
  'coordinate-update',
  'zone-delegate',
  'migration-step',
  'migration-forget',
  'migration-source',
]);

/** Whether an owner elsewhere can be handed this command: others speak of what only this gateway has. */
export function isForwardable(command: Command): command is ForwardedCommand {
  return forwardable.has(command.kind);
}
