import { isHclBlocks } from './hcl.ts';
import { aliasesFor, isIgnored, shapeOf, wordsFor } from './schema-kinds.ts';
import { closest } from './closest.ts';
import { fragmentSchema, type Fragment } from './config-schema.ts';
import { showValue, type ConfigProblem } from './problems.ts';

export interface DecodedFragment {
  readonly fragment: Fragment;
  /** Keys that are set and mean nothing here; a whole block of them is named by the block. */
  readonly ignoredKeys: readonly string[];
  /** Every key that is set, dotted, without list indexes. */
  readonly keys: readonly string[];
  readonly problems: readonly ConfigProblem[];
}

/**
 * Reads one parsed file along the schema, with the tolerance of Consul's decoder (mapstructure and its hooks):
 * names match without regard to case when the exact one is absent, `null` means unset, a list of one stands for
 * its element. What is still wrong is reported in Consul's words, plus the value and what is allowed.
 */
export function decodeFragment(raw: unknown, source: string): DecodedFragment {
  const walk = new Walk(source);
  const value = walk.value(fragmentSchema, raw, '', false);
  const parsed = fragmentSchema.safeParse(value ?? {});
  if (!parsed.success && walk.problems.length === 0) {
    // The walk and the schema disagree: say so rather than start with half a configuration.
    walk.fail(
      '',
      parsed.error.issues.map((issue) => `'${issue.path.join('.')}' ${issue.message}`).join('; '),
    );
  }
  return {
    fragment: parsed.success ? parsed.data : {},
    ignoredKeys: walk.ignoredKeys,
    keys: walk.keys,
    problems: walk.problems,
  };
}

class Walk {
  readonly problems: ConfigProblem[] = [];
  readonly ignoredKeys: string[] = [];
  readonly keys: string[] = [];
  readonly #source: string;

  constructor(source: string) {
    this.#source = source;
  }

  fail(key: string, message: string): undefined {
    this.problems.push({
      ...(key === '' ? {} : { key: withoutIndexes(key) }),
      source: this.#source,
      message: `failed to parse ${this.#source}: ${message}`,
    });
    return undefined;
  }

  /** The value in the schema's own shape; undefined when unset or wrong. */
  value(schema: object, raw: unknown, path: string, inIgnored: boolean): unknown {
    const shape = shapeOf(schema);
    switch (shape.kind) {
      case 'object': {
        const fields = this.#single(raw);
        if (!isRecord(fields)) return this.#notAMap(path, raw, schema);
        return this.#object(schema, shape.fields, fields, path, inIgnored);
      }
      case 'list': {
        if (!Array.isArray(raw)) {
          return this.#wrongKind(path, ': source data must be an array or slice, got', raw, schema, true);
        }
        const items = raw.map((item, i) => this.value(shape.element, item, `${path}[${i}]`, inIgnored));
        return items.filter((item) => item !== undefined);
      }
      case 'map': {
        const fields = this.#single(raw);
        if (!isRecord(fields)) return this.#notAMap(path, raw, schema);
        const entries = Object.entries(fields)
          .filter(([, item]) => item !== null)
          .map(
            ([name, item]) => [name, this.value(shape.value, item, `${path}[${name}]`, inIgnored)] as const,
          );
        return Object.fromEntries(entries.filter(([, item]) => item !== undefined));
      }
      case 'leaf':
        return this.#leaf(schema, shape.type, raw, path);
    }
  }

  #object(
    schema: object,
    fields: Readonly<Record<string, object>>,
    raw: Readonly<Record<string, unknown>>,
    path: string,
    inIgnored: boolean,
  ): Record<string, unknown> {
    const aliases = aliasesFor(schema);
    const result: Record<string, unknown> = {};
    for (const [given, item] of Object.entries(raw)) {
      const name = matchName(given, fields, aliases, raw);
      const here = path === '' ? given : `${path}.${given}`;
      const field = name === undefined ? undefined : fields[name];
      if (name === undefined || field === undefined) {
        this.fail(here, `invalid config key ${here}${meant(given, fields)}`);
        continue;
      }
      if (item === null || item === undefined) continue;
      const ignoring = inIgnored || isIgnored(field);
      const key = path === '' ? name : `${path}.${name}`;
      this.keys.push(withoutIndexes(key));
      if (ignoring && !inIgnored) this.ignoredKeys.push(key);
      const value = this.value(field, item, key, ignoring);
      if (value !== undefined) result[name] = value;
    }
    return result;
  }

  #leaf(schema: object, type: string, raw: unknown, path: string): unknown {
    const value = this.#single(raw);
    switch (type) {
      case 'string':
        if (typeof value === 'string') return value;
        return this.#wrongKind(path, "expected type 'string', got unconvertible type", value, schema);
      case 'boolean':
        if (typeof value === 'boolean') return value;
        return this.#wrongKind(path, "expected type 'bool', got unconvertible type", value, schema);
      case 'number':
      case 'int':
        if (typeof value !== 'number') {
          return this.#wrongKind(path, "expected type 'int', got unconvertible type", value, schema);
        }
        return this.#number(schema, value, path);
      case 'union':
        return this.#texts(schema, raw, path);
      default:
        return unwrapBlocks(raw);
    }
  }

  /** A string or a list of them: the only union there is. */
  #texts(schema: object, raw: unknown, path: string): unknown {
    const value = this.#single(raw);
    if (typeof value === 'string') return value;
    if (Array.isArray(raw) && raw.every((item) => typeof item === 'string')) return raw;
    return this.#wrongKind(path, "expected type 'string', got unconvertible type", value, schema);
  }

  #number(schema: object, value: number, path: string): number | undefined {
    const parsed = (schema as { safeParse?: (value: unknown) => { success: boolean } }).safeParse?.(value);
    if (parsed?.success !== false) return value;
    if (value < 0) return this.#wrong(path, `cannot parse '${path}', ${value} overflows uint`, schema);
    return this.#wrong(path, `'${path}' expected type 'int', got ${value}`, schema);
  }

  #single(raw: unknown): unknown {
    return Array.isArray(raw) && raw.length === 1 ? raw[0] : raw;
  }

  #notAMap(path: string, raw: unknown, schema: object): undefined {
    const several = Array.isArray(raw) && (path === 'service' || path === 'check');
    const hint = several ? ` (several stand under "${path}s")` : '';
    return this.#wrong(path, `${subjectOf(path)} expected a map, got '${goType(raw)}'${hint}`, schema);
  }

  #wrongKind(path: string, says: string, value: unknown, schema: object, bare = false): undefined {
    const kind = goType(value);
    const got = bare ? kind : `'${kind}', value: ${showValue(value)}`;
    return this.#wrong(path, `${subjectOf(path)}${says.startsWith(':') ? '' : ' '}${says} ${got}`, schema);
  }

  #wrong(path: string, message: string, schema: object): undefined {
    const words = wordsFor(schema);
    return this.fail(path, words === undefined ? message : `${message} (allowed: ${words})`);
  }
}

function matchName(
  given: string,
  fields: Readonly<Record<string, object>>,
  aliases: Readonly<Record<string, string>>,
  raw: Readonly<Record<string, unknown>>,
): string | undefined {
  if (Object.hasOwn(fields, given)) return given;
  const folded = given.toLowerCase();
  const name = Object.hasOwn(aliases, folded)
    ? aliases[folded]
    : Object.keys(fields).find((field) => field.toLowerCase() === folded);
  // Where the exact name is there too, Consul calls the other one unknown.
  return name !== undefined && Object.hasOwn(raw, name) ? undefined : name;
}

function meant(given: string, fields: Readonly<Record<string, object>>): string {
  const near = closest(given, Object.keys(fields));
  return near === undefined || near === given.toLowerCase() ? '' : ` (did you mean "${near}"?)`;
}

/** In values that Consul passes on as they are, a block that stands once is an object, not a list. */
function unwrapBlocks(value: unknown): unknown {
  if (Array.isArray(value)) {
    const items = value.map(unwrapBlocks);
    return isHclBlocks(value) && items.length === 1 ? items[0] : items;
  }
  if (!isRecord(value)) return value;
  return Object.fromEntries(Object.entries(value).map(([name, item]) => [name, unwrapBlocks(item)]));
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function goType(value: unknown): string {
  if (value === null || value === undefined) return 'nil';
  if (Array.isArray(value)) return 'slice';
  switch (typeof value) {
    case 'boolean':
      return 'bool';
    case 'number':
      return Number.isInteger(value) ? 'int' : 'float64';
    case 'object':
      return 'map';
    default:
      return typeof value;
  }
}

function subjectOf(path: string): string {
  return path === '' ? 'the configuration' : `'${path}'`;
}

function withoutIndexes(path: string): string {
  return path.replaceAll(/\[[^\]]*\]/g, '');
}
