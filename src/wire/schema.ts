import { decode, encode } from '../kernel/codec.ts';
import { isPlainData } from './plain-data.ts';

// What crosses the wire is declared once: a schema both encodes and, since a peer may be older, newer, broken or
// hostile, checks and bounds what it decodes. Structures are arrays in the order of their declaration: a field
// added later goes last and is `optional`, and what a newer peer adds behind it is ignored.

/** The bytes are not what the schema says. The message names the field. */
export class MalformedError extends Error {
  override readonly name = 'MalformedError';
}

/** `pack` answers plain data for the codec; `unpack` checks what the codec answered. */
export interface Schema<T> {
  pack(value: T): unknown;
  /** @throws MalformedError */
  unpack(raw: unknown, at: string): T;
}

function malformed(at: string, wanted: string): never {
  throw new MalformedError(`${at}: not ${wanted}`);
}

function plain<T>(wanted: string, holds: (raw: unknown) => boolean): Schema<T> {
  return {
    pack: (value) => value,
    unpack: (raw, at) => (holds(raw) ? (raw as T) : malformed(at, wanted)),
  };
}

/** A whole number from 0 to `max` (at most 2^53 - 1). */
export function uint(max: number = Number.MAX_SAFE_INTEGER): Schema<number> {
  return {
    pack: (value) => value,
    // Above 2^32 the codec writes 64 bits and reads a bigint back.
    unpack: (raw, at) => {
      const value = typeof raw === 'bigint' ? Number(raw) : raw;
      if (Number.isSafeInteger(value) && (value as number) >= 0 && (value as number) <= max)
        return value as number;
      return malformed(at, `a whole number up to ${max}`);
    },
  };
}

export const finite: Schema<number> = {
  pack: (value) => value,
  unpack: (raw, at) => {
    const value = typeof raw === 'bigint' ? Number(raw) : raw;
    return typeof value === 'number' && Number.isFinite(value) ? value + 0 : malformed(at, 'a finite number');
  },
};

export const flag: Schema<boolean> = plain('true or false', (raw) => typeof raw === 'boolean');

/**
 * A text of at most `charsMax` UTF-16 units. Half a surrogate pair has no UTF-8; what the codec makes of it depends on
 * the text's length, so it becomes U+FFFD here, as it does in the database.
 */
export function text<T extends string = string>(charsMax: number): Schema<T> {
  return {
    pack: (value) => value,
    unpack: (raw, at) => {
      if (typeof raw !== 'string' || raw.length > charsMax)
        return malformed(at, `a text of at most ${charsMax}`);
      return (raw as unknown as WellFormable).toWellFormed() as T;
    },
  };
}

/** Of ES2024; Node has it since 20. */
interface WellFormable {
  toWellFormed(): string;
}

/** A copy: what is kept for long must not hold the packet or frame that it came in. */
export function bytes(bytesMax: number): Schema<Uint8Array> {
  return {
    pack: (value) => value,
    unpack: (raw, at) =>
      raw instanceof Uint8Array && raw.length <= bytesMax
        ? new Uint8Array(raw)
        : malformed(at, `at most ${bytesMax} bytes`),
  };
}

const hexOfByte: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
);

function hexBytes(id: string): Uint8Array {
  const digits = id.includes('-') ? id.replaceAll('-', '') : id;
  const packed = new Uint8Array(digits.length >> 1);
  for (let i = 0; i < packed.length; i++) {
    packed[i] = hexDigit(digits.charCodeAt(2 * i)) * 16 + hexDigit(digits.charCodeAt(2 * i + 1));
  }
  return packed;
}

/** Of a lower-case digit. */
function hexDigit(code: number): number {
  return code <= 0x39 ? code - 0x30 : code - 0x57;
}

function asUuid(digits: string): string {
  if (digits.length !== 32) return digits;
  const [a, b, c] = [digits.slice(8, 12), digits.slice(12, 16), digits.slice(16, 20)];
  return `${digits.slice(0, 8)}-${a}-${b}-${c}-${digits.slice(20)}`;
}

/** Hex digits (and dashes) as text, half as many bytes on the wire: ids. */
export function hexId<T extends string = string>(form: RegExp): Schema<T> {
  return {
    pack: hexBytes,
    unpack: (raw, at) => {
      if (!(raw instanceof Uint8Array) || raw.length > 64) return malformed(at, 'an id');
      let digits = '';
      for (const byte of raw) digits += hexOfByte[byte] as string;
      const value = form.test(digits) ? digits : asUuid(digits);
      return form.test(value) ? (value as T) : malformed(at, 'an id');
    },
  };
}

export function oneOf<const T extends string>(...values: readonly T[]): Schema<T> {
  return {
    pack: (value) => values.indexOf(value),
    unpack: (raw, at) =>
      (typeof raw === 'number' ? values[raw] : undefined) ?? malformed(at, `one of ${values.join(', ')}`),
  };
}

export function list<T>(item: Schema<T>, itemsMax: number): Schema<readonly T[]> {
  return {
    pack: (value) => value.map((each) => item.pack(each)),
    unpack: (raw, at) => {
      if (!Array.isArray(raw) || raw.length > itemsMax) return malformed(at, `a list of at most ${itemsMax}`);
      return raw.map((each, i) => item.unpack(each, `${at}[${i}]`));
    },
  };
}

export function nullable<T>(inner: Schema<T>): Schema<T | null> {
  return {
    pack: (value) => (value === null ? null : inner.pack(value)),
    unpack: (raw, at) => (raw === null ? null : inner.unpack(raw, at)),
  };
}

/** For a field that an older peer leaves out: then it reads as `fallback`. */
export function optional<T>(inner: Schema<T>, fallback: T): Schema<T> {
  return {
    pack: (value) => inner.pack(value),
    unpack: (raw, at) => (raw === undefined || raw === null ? fallback : inner.unpack(raw, at)),
  };
}

/** A small map of texts: tags. */
export function textMap(entriesMax: number, charsMax: number): Schema<Readonly<Record<string, string>>> {
  const entry = text(charsMax);
  return {
    pack: (value) => Object.entries(value),
    unpack: (raw, at) => {
      if (!Array.isArray(raw) || raw.length > entriesMax)
        return malformed(at, `at most ${entriesMax} entries`);
      return Object.fromEntries(
        raw.map((pair: unknown, i) => {
          if (!Array.isArray(pair) || pair.length !== 2) return malformed(`${at}[${i}]`, 'a pair');
          return [entry.unpack(pair[0], at), entry.unpack(pair[1], at)] as const;
        }),
      );
    },
  };
}

/** Plain data that its receiver checks by rules of its own; bounded by the size of what carries it. */
export const anything: Schema<unknown> = { pack: (value) => value, unpack: (raw) => raw };

export function struct<T extends object>(fields: { readonly [K in keyof T]-?: Schema<T[K]> }): Schema<T> {
  const entries = Object.entries(fields) as [keyof T & string, Schema<unknown>][];
  return {
    pack: (value) => entries.map(([name, schema]) => schema.pack(value[name])),
    unpack: (raw, at) => {
      if (!Array.isArray(raw)) return malformed(at, 'a structure');
      const value: Record<string, unknown> = {};
      entries.forEach(([name, schema], i) => {
        value[name] = schema.unpack(raw[i], `${at}.${name}`);
      });
      return value as T;
    },
  };
}

/** A family of structures told apart by their `kind`. */
export interface Union<T> extends Schema<T> {
  readonly kinds: ReadonlySet<string>;
}

/** A family of structures told apart by their `kind`; the number stands for it on the wire: never reuse one. */
export function union<T extends { readonly kind: string }>(variants: {
  readonly [K in T['kind']]: readonly [number, Schema<Omit<Extract<T, { readonly kind: K }>, 'kind'>>];
}): Union<T> {
  const byKind = new Map<string, readonly [number, Schema<object>]>(Object.entries(variants));
  const byNumber = new Map([...byKind].map(([kind, [number, schema]]) => [number, { kind, schema }]));
  return {
    kinds: new Set(byKind.keys()),
    pack: (value) => {
      const [number, schema] = byKind.get(value.kind) as readonly [number, Schema<object>];
      return [number, schema.pack(value)];
    },
    unpack: (raw, at) => {
      const variant = Array.isArray(raw) && typeof raw[0] === 'number' ? byNumber.get(raw[0]) : undefined;
      if (variant === undefined) return malformed(at, 'a known kind');
      const { kind, schema } = variant;
      return { kind, ...schema.unpack((raw as unknown[])[1], kind) } as unknown as T;
    },
  };
}

export function toBytes<T>(schema: Schema<T>, value: T): Uint8Array {
  return encode(schema.pack(value));
}

/** @throws MalformedError whatever the bytes are */
export function fromBytes<T>(schema: Schema<T>, raw: Uint8Array, what: string): T {
  if (!isPlainData(raw)) return malformed(what, 'MessagePack');
  let decoded: unknown;
  try {
    decoded = decode(raw);
  } catch {
    // A map whose key is `__proto__`, or no text.
    return malformed(what, 'MessagePack');
  }
  return schema.unpack(decoded, what);
}
