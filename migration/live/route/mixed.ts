import { jsonBody, jsonType, type Reply } from '../../../compat/wire/http.ts';
import { authorityOf, type PhaseRule } from '../../../src/state/migration.ts';
import type { TxnOp } from '../../../src/state/txn.ts';
import type { Phases } from '../ports.ts';
import type { Side, Span } from './summary.ts';

/** The answer to a transaction whose keys are decided on both sides: both are named. */
export function mixedTxn(ops: readonly TxnOp[], spans: readonly Span[]): Reply {
  const first = spans[0]?.authority;
  const other = first === undefined ? 0 : spans.findIndex(({ authority }) => authority !== first);
  const words = (at: number): string => {
    const op = ops[at];
    const authority = spans[at]?.authority;
    const name = op?.kind === 'kv' ? JSON.stringify(op.key) : 'the catalog';
    return authority === undefined ? `${name} by both` : decidedBy(name, spans[at]?.rules[0], authority);
  };
  const what = mixed('a transaction', words(0), words(other));
  const body = jsonBody({ Results: null, Errors: [{ OpIndex: other, What: what }] }, false);
  return { kind: 'reply', status: 409, body, contentType: jsonType };
}

/** Why a tree cannot be deleted whose keys are decided on both sides. */
export function mixedTree(phases: Phases, prefix: string): string {
  const own = phases.ofKey(prefix);
  const rule = phases.under(prefix).find((each) => sideOf(each) !== sideOf(own));
  return mixed(
    'the deletion of a tree',
    decidedBy(JSON.stringify(prefix), own, sideOf(own)),
    decidedBy(JSON.stringify(rule?.prefix ?? prefix), rule, sideOf(rule)),
  );
}

function mixed(what: string, first: string, other: string): string {
  return (
    `${what} needs keys that are decided in two places while they move: ${first}, and ${other}; ` +
    `it can be done again once both are on one side`
  );
}

function decidedBy(name: string, rule: PhaseRule | undefined, side: Side): string {
  const by = side === 'source' ? 'the source Consul' : 'this fleet';
  return `${name} by ${by}${rule === undefined ? '' : ` (phase ${rule.phase})`}`;
}

function sideOf(rule: PhaseRule | undefined): Side {
  return rule === undefined ? 'here' : authorityOf(rule.phase);
}
