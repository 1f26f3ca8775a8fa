import type { ServiceValue } from './values.ts';

export const metaPairsMax = 64;
export const metaKeyBytesMax = 128;
export const metaValueBytesMax = 512;
export const metaPrefixReserved = 'consul-';

/** What is wrong with the metadata of a service, in Consul's words; undefined when nothing is. */
export function serviceMetaProblem({ node, id, meta }: ServiceValue): string | undefined {
  const problem = meta === null ? undefined : metaProblem(meta);
  return problem === undefined
    ? undefined
    : `Invalid Service Meta for node ${node} and serviceID ${id}: ${problem}`;
}

/** The rules of service metadata, in the words of Consul 1.8.7 (which says "Node" for services too). */
export function metaProblem(meta: Readonly<Record<string, string>>): string | undefined {
  const names = Object.keys(meta);
  if (names.length > metaPairsMax) {
    return `Node metadata cannot contain more than ${metaPairsMax} key/value pairs`;
  }
  for (const name of names) {
    const value = meta[name] as string;
    const problem = pairProblem(name, value);
    if (problem !== undefined) return `Couldn't load metadata pair ('${name}', '${value}'): ${problem}`;
  }
  return undefined;
}

function pairProblem(name: string, value: string): string | undefined {
  if (name === '') return 'Key cannot be blank';
  if (!/^[a-zA-Z0-9_-]+$/.test(name)) return 'Key contains invalid characters';
  if (name.length > metaKeyBytesMax) return `Key is too long (limit: ${metaKeyBytesMax} characters)`;
  if (name.startsWith(metaPrefixReserved)) {
    return `Key prefix '${metaPrefixReserved}' is reserved for internal use`;
  }
  // A UTF-16 unit is at most three bytes: only long values need counting.
  const bytes = value.length * 3 <= metaValueBytesMax ? 0 : new TextEncoder().encode(value).length;
  return bytes > metaValueBytesMax ? `Value is too long (limit: ${metaValueBytesMax} characters)` : undefined;
}
