import { err, ok, type Result } from '../../src/kernel/result.ts';
import type { CatalogVerb, KvVerb, TxnOp } from '../../src/state/txn.ts';
import { checkNodeId, decodeCheck, decodeNode, decodeService, isAnyAddress } from '../wire/catalog-decode.ts';
import { decodeGoBase64 } from '../wire/go-base64.ts';
import { GoFields, goKind, isJsonObject, type JsonValue } from '../wire/go-json.ts';
import { failure, type Reply } from '../wire/http.ts';
import { decodeJsonBody } from '../wire/json-body.ts';
import type { RouteLimits } from './context.ts';

// The body of /v1/txn: an array of operations, each an object with one of KV, Node, Service and Check (the first of
// them counts, in this order). Texts are those of Consul 1.8.7.

const kvVerbs: ReadonlySet<string> = new Set([
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
] satisfies readonly KvVerb[]);

const catalogVerbs: ReadonlySet<string> = new Set([
  'get',
  'set',
  'cas',
  'delete',
  'delete-cas',
] satisfies readonly CatalogVerb[]);

const opFields: ReadonlySet<string> = new Set(['kv', 'node', 'service', 'check']);

/** The operations of a body, or the answer that refuses it. Operations of nothing are left out, as in Consul. */
export function decodeTxn(body: Uint8Array, limits: RouteLimits): Result<readonly TxnOp[], Reply> {
  const parsed = decodeJsonBody(body);
  if (!parsed.ok) return unparsable(parsed.error);
  const { value } = parsed;
  if (value !== null && !Array.isArray(value)) {
    return unparsable(`json: cannot unmarshal ${goKind(value)} into Go value of type api.TxnOps`);
  }
  const items: readonly JsonValue[] = value ?? [];
  const ops: TxnOp[] = [];
  const problems: string[] = [];
  for (const item of items) {
    const op = decodeOp(item, (problem) => problems.push(problem));
    if (op !== undefined) ops.push(op);
  }
  const problem = problems[0];
  if (problem !== undefined) return unparsable(problem);
  if (items.length > limits.txnOpsMax) {
    const sizes = `(${items.length} > ${limits.txnOpsMax})`;
    return err(failure(413, `Transaction contains too many operations ${sizes}`));
  }
  const tooLarge = ops.find((op) => op.kind === 'kv' && op.value.length > limits.kvValueBytesMax);
  if (tooLarge?.kind === 'kv') {
    const sizes = `(${tooLarge.value.length} > ${limits.kvValueBytesMax} bytes)`;
    return err(failure(413, `Value for key ${JSON.stringify(tooLarge.key)} is too large ${sizes}`));
  }
  return ok(ops);
}

function unparsable(why: string): Result<never, Reply> {
  return err(failure(400, `Failed to parse body: ${why}`));
}

function decodeOp(item: JsonValue, fail: (problem: string) => void): TxnOp | undefined {
  const op = new GoFields(item, 'api.TxnOp');
  if (op.problem !== undefined) fail(op.problem);
  if (!isJsonObject(item)) return undefined;
  // Fields that newer clients add to an operation do no harm; an operation of a kind that is not known must not
  // look as if it had been carried out.
  const stranger = Object.keys(item).find((name) => !opFields.has(name.toLowerCase()));
  if (stranger !== undefined) fail(`json: unknown field ${JSON.stringify(stranger)}`);
  for (const [name, decode] of decoders) {
    const raw = op.raw(name);
    if (raw === undefined) continue;
    if (!isJsonObject(raw)) {
      const type = `api.${name}TxnOp`;
      fail(`json: cannot unmarshal ${goKind(raw)} into Go struct field TxnOp.${name} of type ${type}`);
      return undefined;
    }
    const fields = new GoFields(raw, `${name}TxnOp.${name}`);
    const decoded = decode(fields);
    if (fields.problem !== undefined) fail(fields.problem);
    return decoded;
  }
  return undefined;
}

const decoders: readonly (readonly [string, (fields: GoFields) => TxnOp])[] = [
  ['KV', kvOp],
  ['Node', nodeOp],
  ['Service', serviceOp],
  ['Check', checkOp],
];

function kvOp(fields: GoFields): TxnOp {
  const verb = verbOf(fields, 'KV', 'api.KVOp');
  const key = fields.string('Key');
  const op = {
    key,
    value: bytesOf(fields),
    flags: uint64Of(fields, 'Flags'),
    index: uint64Of(fields, 'Index'),
    session: fields.string('Session'),
  };
  if (kvVerbs.has(verb)) return { kind: 'kv', verb: verb as KvVerb, ...op };
  return { kind: 'unknown', of: 'kv', verb, ...(key === '' ? { invalid: 'Must provide key' } : {}) };
}

function nodeOp(fields: GoFields): TxnOp {
  const verb = verbOf(fields, 'Node', 'api.NodeOp');
  const entry = entryOf(fields, 'Node', 'api.Node');
  const node = decodeNode(entry, 'Meta');
  const index = entry.uint64('ModifyIndex');
  pass(entry, fields);
  const id = checkNodeId(node.id);
  const invalid = node.node === '' ? 'Must provide node' : id.ok ? undefined : id.error;
  return catalogOp('node', verb, invalid, (op) => ({ ...op, kind: 'node', node, index }));
}

function serviceOp(fields: GoFields): TxnOp {
  const verb = verbOf(fields, 'Service', 'api.ServiceOp');
  const entry = entryOf(fields, 'Service', 'api.AgentService');
  const service = decodeService(entry, fields.string('Node'));
  const index = entry.uint64('ModifyIndex');
  pass(entry, fields);
  let invalid: string | undefined;
  if (service.service === '' && service.id !== '') invalid = 'Must provide service name with ID';
  else if (isAnyAddress(service.address)) invalid = 'Invalid service address';
  else if (service.id === '' && catalogVerbs.has(verb)) {
    invalid = 'failed inserting service: object missing primary index';
  }
  return catalogOp('service', verb, invalid, (op) => ({ ...op, kind: 'service', service, index }));
}

function checkOp(fields: GoFields): TxnOp {
  const verb = verbOf(fields, 'Check', 'api.CheckOp');
  const entry = entryOf(fields, 'Check', 'api.HealthCheck');
  // A transaction does not carry the type: Consul drops it.
  const check = { ...decodeCheck(entry, '', false), type: '' };
  const index = entry.uint64('ModifyIndex');
  pass(entry, fields);
  const writes = verb === 'set' || verb === 'cas';
  const invalid =
    writes && check.checkId === '' ? 'failed inserting check: object missing primary index' : undefined;
  return catalogOp('check', verb, invalid, (op) => ({ ...op, kind: 'check', check, index }));
}

function catalogOp(
  of: 'node' | 'service' | 'check',
  verb: string,
  invalid: string | undefined,
  known: (op: { verb: CatalogVerb; invalid?: string }) => TxnOp,
): TxnOp {
  // A read asks for whatever it names: there is nothing to check.
  const refusal = invalid === undefined || verb === 'get' ? {} : { invalid };
  if (catalogVerbs.has(verb)) return known({ verb: verb as CatalogVerb, ...refusal });
  return { kind: 'unknown', of, verb, ...refusal };
}

function entryOf(fields: GoFields, name: string, type: string): GoFields {
  const raw = fields.raw(name);
  if (raw !== undefined && !isJsonObject(raw)) {
    fields.fail(
      `json: cannot unmarshal ${goKind(raw)} into Go struct field ${name}TxnOp.${name}.${name} of type ${type}`,
    );
  }
  return new GoFields(isJsonObject(raw) ? raw : null, type);
}

function verbOf(fields: GoFields, name: string, type: string): string {
  const raw = fields.raw('Verb');
  if (raw === undefined) return '';
  if (typeof raw === 'string') return raw;
  fields.fail(
    `json: cannot unmarshal ${goKind(raw)} into Go struct field ${name}TxnOp.${name}.Verb of type ${type}`,
  );
  return '';
}

/** As GoFields, and a number that does not fit is named, as Go does. */
function uint64Of(fields: GoFields, name: string): bigint {
  const raw = fields.raw(name);
  if (typeof raw === 'number' || typeof raw === 'bigint') {
    const fits = Number.isInteger(Number(raw)) && raw >= 0 && BigInt(raw) <= 0xffff_ffff_ffff_ffffn;
    if (!fits) {
      fields.fail(
        `json: cannot unmarshal number ${raw} into Go struct field KVTxnOp.KV.${name} of type uint64`,
      );
      return 0n;
    }
  }
  return fields.uint64(name);
}

function bytesOf(fields: GoFields): Uint8Array {
  const raw = fields.raw('Value');
  if (raw === undefined) return none;
  if (typeof raw !== 'string') {
    fields.fail(
      `json: cannot unmarshal ${goKind(raw)} into Go struct field KVTxnOp.KV.Value of type []uint8`,
    );
    return none;
  }
  const decoded = decodeGoBase64(raw);
  if (decoded.ok) return decoded.value;
  fields.fail(decoded.error);
  return none;
}

const none = new Uint8Array();

function pass(inner: GoFields, outer: GoFields): void {
  if (inner.problem !== undefined) outer.fail(inner.problem);
}
