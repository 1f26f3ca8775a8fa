import { err, ok, type Result } from '../../src/kernel/result.ts';
import type { SessionValue } from '../../src/state/values.ts';
import {
  formatGoDuration,
  parseGoDuration,
  type Nanoseconds,
  nsPerMs,
  nsPerSecond,
} from '../wire/go-duration.ts';
import { GoFields, goKind, isJsonObject, type JsonObject, type JsonValue } from '../wire/go-json.ts';
import { failure, type Reply } from '../wire/http.ts';
import { decodeJsonBody } from '../wire/json-body.ts';

/** What a session is when its creator says nothing (Consul 1.8.7). */
const lockDelayNsDefault = 15 * nsPerSecond;
const serfCheck = 'serfHealth';
/** Consul: SessionTTLMin of a server. */
const ttlMsMinDefault = 10_000;
/** Consul: structs.SessionTTLMax. */
const ttlNsMax = 24 * 3600 * nsPerSecond;

export interface SessionDefaults {
  readonly id: string;
  readonly node: string;
  readonly ttlMsMin: number;
}

/**
 * The body of `/v1/session/create`: optional, names in any case, unknown fields ignored. Checks come in three
 * fields, of which `Checks` is the oldest: an empty one means no checks at all.
 */
export function decodeSession(body: Uint8Array, defaults: SessionDefaults): Result<SessionValue, Reply> {
  const parsed = body.length === 0 ? ok(null) : decodeJsonBody(body);
  if (!parsed.ok) return undecodable(parsed.error);
  const { value } = parsed;
  if (value !== null && !isJsonObject(value)) {
    const type = 'struct { LockDelay interface {}; *structs.Alias }';
    return undecodable(`json: cannot unmarshal ${goKind(value)} into Go value of type ${type}`);
  }
  const given = value ?? {};
  // Go names the fields of an anonymous struct without a struct's name.
  const fields = new GoFields(given, '');
  const name = fields.string('Name');
  const node = fields.has('Node') ? fields.string('Node') : defaults.node;
  const behavior = fields.string('Behavior') || 'release';
  const ttl = fields.string('TTL');
  const checks = decodeChecks(given, fields);
  if (fields.problem !== undefined) return undecodable(fields.problem);
  const lockDelay = decodeLockDelay(fields.raw('LockDelay'));
  if (!lockDelay.ok) return undecodable(lockDelay.error);
  if (node === '') return err(failure(500, 'Must provide Node'));
  if (behavior !== 'release' && behavior !== 'delete') {
    return err(failure(500, `Invalid Behavior setting '${behavior}'`));
  }
  const problem = ttlProblem(ttl, defaults.ttlMsMin);
  if (problem !== undefined) return err(failure(500, problem));
  return ok({ id: defaults.id, name, node, lockDelayNs: lockDelay.value, behavior, ttl, ...checks });
}

function undecodable(why: string): Result<never, Reply> {
  return err(failure(400, `Request decode failed: ${why}`));
}

/** A duration, or a number of nanoseconds; below 1000 either means seconds. Other kinds of value mean none. */
function decodeLockDelay(raw: JsonValue | undefined): Result<Nanoseconds, string> {
  if (raw === undefined) return ok(lockDelayNsDefault);
  let ns = 0;
  if (typeof raw === 'string') {
    const parsed = parseGoDuration(raw);
    if (!parsed.ok) return parsed;
    ns = parsed.value;
  } else if (typeof raw === 'number' || typeof raw === 'bigint') {
    ns = Math.trunc(Number(raw));
  }
  return ok(ns < 1000 ? ns * nsPerSecond : ns);
}

function ttlProblem(ttl: string, ttlMsMin: number): string | undefined {
  if (ttl === '') return undefined;
  const parsed = parseGoDuration(ttl);
  if (!parsed.ok) return `Session TTL '${ttl}' invalid: ${parsed.error}`;
  const ns = parsed.value;
  // Not set, as in Consul's configuration.
  const nsMin = (ttlMsMin === 0 ? ttlMsMinDefault : ttlMsMin) * nsPerMs;
  if (ns === 0 || (ns >= nsMin && ns <= ttlNsMax)) return undefined;
  const range = `${formatGoDuration(nsMin)}=${formatGoDuration(ttlNsMax)}`;
  return `Invalid Session TTL '${ns}', must be between [${range}]`;
}

/** The TTL of a session in ms; 0 for none. The text was checked when the session was created. */
export function sessionTtlMs(ttl: string): number {
  const parsed = ttl === '' ? undefined : parseGoDuration(ttl);
  return parsed?.ok === true ? parsed.value / nsPerMs : 0;
}

type Checks = Pick<SessionValue, 'checks' | 'nodeChecks' | 'serviceChecks'>;

function decodeChecks(given: JsonObject, fields: GoFields): Checks {
  let checks = stringsOf(given, fields, 'Checks', 'types.CheckID', [serfCheck]) ?? [];
  let nodeChecks = stringsOf(given, fields, 'NodeChecks', 'string', [serfCheck]);
  const serviceChecks = serviceChecksOf(fields);
  // Both are preset, as the caller may use either: emptying one empties the preset of the other.
  if (checks.length === 0) nodeChecks = [];
  else if (nodeChecks === null || nodeChecks.length === 0) checks = [];
  const own = checks.length === 1 && checks[0] === serfCheck ? [] : checks;
  return { nodeChecks, serviceChecks, ...(own.length === 0 ? {} : { checks: own }) };
}

/** A list of strings; null where the body says null, the preset where it says nothing. */
function stringsOf(
  given: JsonObject,
  fields: GoFields,
  name: string,
  type: string,
  preset: readonly string[],
): readonly string[] | null {
  const raw = fields.raw(name);
  if (raw === undefined) return isNulled(given, name) ? null : preset;
  if (!Array.isArray(raw)) {
    fields.fail(`json: cannot unmarshal ${goKind(raw)} into Go struct field .${name} of type []${type}`);
    return preset;
  }
  const items: readonly JsonValue[] = raw;
  return items.map((item) => {
    if (typeof item === 'string') return item;
    if (item !== null) {
      fields.fail(`json: cannot unmarshal ${goKind(item)} into Go struct field .${name} of type ${type}`);
    }
    return '';
  });
}

function isNulled(given: JsonObject, name: string): boolean {
  return Object.keys(given).some((key) => key.toLowerCase() === name.toLowerCase() && given[key] === null);
}

function serviceChecksOf(fields: GoFields): SessionValue['serviceChecks'] {
  const raw = fields.raw('ServiceChecks');
  if (raw === undefined) return null;
  const type = 'structs.ServiceCheck';
  if (!Array.isArray(raw)) {
    fields.fail(
      `json: cannot unmarshal ${goKind(raw)} into Go struct field .ServiceChecks of type []${type}`,
    );
    return null;
  }
  const items: readonly JsonValue[] = raw;
  return items.map((item) => {
    if (item !== null && !isJsonObject(item)) {
      fields.fail(
        `json: cannot unmarshal ${goKind(item)} into Go struct field .ServiceChecks of type ${type}`,
      );
    }
    const check = new GoFields(isJsonObject(item) ? item : null, 'ServiceCheck.ServiceChecks');
    const decoded = { id: check.string('ID'), namespace: check.string('Namespace') };
    if (check.problem !== undefined) fields.fail(check.problem);
    return decoded;
  });
}
