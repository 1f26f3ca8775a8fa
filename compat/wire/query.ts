/** The query of a URL, as Go's `url.ParseQuery` and `Values.Get` see it. Flags are tested by presence. */
export class Query {
  readonly #values: ReadonlyMap<string, readonly string[]>;
  /** The query as it came, without the question mark. */
  readonly raw: string;

  private constructor(raw: string, values: ReadonlyMap<string, readonly string[]>) {
    this.raw = raw;
    this.#values = values;
  }

  static readonly empty = new Query('', new Map());

  /** Undefined when an escape in it is malformed: Consul answers such a request with 500 and no body. */
  static parse(raw: string): Query | undefined {
    if (raw === '') return Query.empty;
    const values = new Map<string, string[]>();
    for (const pair of raw.split('&')) {
      if (pair === '') continue;
      const cut = pair.indexOf('=');
      const name = unescape(cut < 0 ? pair : pair.slice(0, cut));
      const value = cut < 0 ? '' : unescape(pair.slice(cut + 1));
      if (name === undefined || value === undefined) return undefined;
      const held = values.get(name);
      if (held === undefined) values.set(name, [value]);
      else held.push(value);
    }
    return new Query(raw, values);
  }

  has(name: string): boolean {
    return this.#values.has(name);
  }

  /** The first value, or the empty string. */
  get(name: string): string {
    return this.#values.get(name)?.[0] ?? '';
  }

  all(name: string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  names(): Iterable<string> {
    return this.#values.keys();
  }
}

function unescape(text: string): string | undefined {
  if (!text.includes('%') && !text.includes('+')) return text;
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    return undefined;
  }
}
