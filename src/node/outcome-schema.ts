import type { CommandOutcome } from '../state/command.ts';
import { phases, type PastStep, type PhaseRule } from '../state/migration.ts';
import type { Kind } from '../state/kinds.ts';
import type { Row } from '../state/store.ts';
import type { TxnError, TxnResult } from '../state/txn.ts';
import {
  bytes,
  flag,
  list,
  nullable,
  oneOf,
  optional,
  struct,
  text,
  uint,
  union,
  type Schema,
} from '../wire/schema.ts';

// What a forwarded command came to, on its way back. Rows carry the owner's numbers: who asked shows its own.

const message = text(1024 * 1024);

const row: Schema<Row> = struct<Row>({
  kind: uint(255) as Schema<Kind>,
  key: text(64 * 1024),
  value: nullable(bytes(16 * 1024 * 1024)),
  term: uint(),
  timeline: uint(),
  stamp: uint(),
  born: uint(),
  origin: uint(),
  seq: uint(),
  ix: nullable(text(64 * 1024)),
  createIndex: uint(),
  modifyIndex: uint(),
  beside: optional(uint(), 0),
});

/** A row that may not be there. */
const perhapsRow = nullable(row);

const txnResult = union<TxnResult>({
  kv: [1, struct({ row, withValue: flag })],
  'kv-empty': [2, struct({ key: text(64 * 1024) })],
  node: [3, struct({ row })],
  service: [4, struct({ row })],
  check: [5, struct({ row })],
} as never);

type Status = Extract<CommandOutcome, { kind: 'refused' }>['status'];

const remark = text(4096);
const pastStep = {
  ...{ phase: oneOf(...phases), step: uint(), sinceMs: uint(), byNode: text(64), reason: remark },
  overridden: list(remark, 64),
};

const rule: Schema<PhaseRule> = struct<PhaseRule>({
  of: oneOf('kv', 'catalog'),
  prefix: text(64 * 1024),
  ...pastStep,
  term: uint(),
  history: list(struct<PastStep>(pastStep), 256),
});

const statuses: readonly Status[] = [400, 404, 409, 413, 500];

/** An outcome as it travels: a row that is not there is `null`. */
type Travelling =
  | { readonly kind: 'refused'; readonly status: string; readonly message: string }
  | { readonly kind: 'not-owned'; readonly zone: string; readonly owner: string; readonly reason: string }
  | { readonly kind: 'kv'; readonly applied: boolean; readonly row: Row | null }
  | { readonly kind: 'txn'; readonly results: readonly TxnResult[]; readonly errors: readonly TxnError[] }
  | { readonly kind: 'session'; readonly row: Row | null }
  | { readonly kind: 'catalog' }
  | { readonly kind: 'zone'; readonly row: Row | null }
  | { readonly kind: 'migration'; readonly rule: PhaseRule | null };

const travelling: Schema<Travelling> = union<Travelling>({
  refused: [1, struct({ status: oneOf(...statuses.map(String)), message })],
  'not-owned': [2, struct({ zone: text(64 * 1024), owner: text(64), reason: text(4096) })],
  kv: [3, struct({ applied: flag, row: perhapsRow })],
  txn: [
    4,
    struct({
      results: list(txnResult, 100_000),
      errors: list(struct<TxnError>({ opIndex: uint(), what: message }), 1024),
    }),
  ],
  session: [5, struct({ row: perhapsRow })],
  catalog: [6, struct({})],
  zone: [7, struct({ row: optional(perhapsRow, null) })],
  migration: [8, struct({ rule: nullable(rule) })],
});

export const forwardedOutcome: Schema<CommandOutcome> = {
  pack: (outcome) => {
    const status = outcome.kind === 'refused' ? { status: String(outcome.status) } : {};
    const rowField = 'row' in outcome ? { row: outcome.row ?? null } : { row: null };
    const ruleField = outcome.kind === 'migration' ? { rule: outcome.rule ?? null } : {};
    return travelling.pack({ ...rowField, ...outcome, ...status, ...rowField, ...ruleField } as Travelling);
  },
  unpack: (raw, at) => {
    const outcome = travelling.unpack(raw, at);
    if (outcome.kind === 'refused') return { ...outcome, status: Number(outcome.status) as Status };
    if (outcome.kind === 'migration') {
      return outcome.rule === null ? { kind: 'migration' } : { kind: 'migration', rule: outcome.rule };
    }
    if (!('row' in outcome)) return outcome;
    const { row: held, ...rest } = outcome;
    return held === null ? rest : { ...rest, row: held };
  },
};
