import { err, ok, type Result } from '../../src/kernel/result.ts';
import {
  inNetworks,
  isCidr,
  isPrivate,
  isPublic,
  networksOfRfc,
  type HostFacts,
  type InterfaceAddress,
} from './ip-address.ts';

/**
 * Fills in the templates that Consul allows wherever an address is expected (go-sockaddr's, without Go's control
 * structures): `{{ GetPrivateIP }}`, `{{ GetInterfaceIP "eth0" }}`,
 * `{{ GetAllInterfaces | include "network" "10.0.0.0/8" | exclude "name" "docker.*" | attr "address" }}`.
 * Text outside of braces stands for itself. The error says what was not understood and what would be.
 */
export function fillAddressTemplate(text: string, host: HostFacts): Result<string, string> {
  let filled = '';
  let rest = text;
  while (rest !== '') {
    const open = rest.indexOf('{{');
    if (open === -1) return ok(filled + rest);
    const close = rest.indexOf('}}', open);
    if (close === -1) return err(`unable to parse template ${JSON.stringify(text)}: {{ without }}`);
    const value = evaluate(rest.slice(open + 2, close), host);
    if (!value.ok) return err(`unable to parse template ${JSON.stringify(text)}: ${value.error}`);
    filled += rest.slice(0, open) + value.value;
    rest = rest.slice(close + 2);
  }
  return ok(filled);
}

type Value = string | readonly InterfaceAddress[];

const sources: Readonly<Record<string, (host: HostFacts) => readonly InterfaceAddress[]>> = {
  GetAllInterfaces: (host) => inDefaultOrder(host.interfaces, host),
  GetDefaultInterfaces: (host) =>
    inDefaultOrder(host.interfaces, host).filter((each) => each.interface === host.defaultInterface),
  GetPrivateInterfaces: (host) =>
    inDefaultOrder(host.interfaces, host).filter((each) => isPrivate(each.address)),
  GetPublicInterfaces: (host) =>
    inDefaultOrder(host.interfaces, host).filter((each) => isPublic(each.address)),
};

const addressFunctions: Readonly<Record<string, { readonly list: string; readonly all: boolean }>> = {
  GetPrivateIP: { list: 'GetPrivateInterfaces', all: false },
  GetPrivateIPs: { list: 'GetPrivateInterfaces', all: true },
  GetPublicIP: { list: 'GetPublicInterfaces', all: false },
  GetPublicIPs: { list: 'GetPublicInterfaces', all: true },
};

const understood =
  'GetPrivateIP, GetPublicIP, GetInterfaceIP "eth0", their plurals, and GetAllInterfaces, GetDefaultInterfaces, ' +
  'GetPrivateInterfaces or GetPublicInterfaces followed by | include, exclude, sort, limit, offset, attr or join';

function evaluate(pipeline: string, host: HostFacts): Result<string, string> {
  const stages = pipeline.split('|').map(words);
  const [source = [], ...filters] = stages;
  const first = evaluateSource(source, host);
  if (!first.ok) return first;
  let value: Value = first.value;
  for (const filter of filters) {
    if (typeof value === 'string') return err(`nothing can follow an address: ${filter.join(' ')}`);
    const next = applyFilter(filter, value, host);
    if (!next.ok) return next;
    value = next.value;
  }
  if (typeof value === 'string') return ok(value);
  return err('a list of interfaces is not an address: end with | attr "address" or | join "address" " "');
}

/** Words and quoted arguments; quotes as in Go, double or backquotes. */
function words(stage: string): readonly string[] {
  return [...stage.matchAll(/"((?:[^"\\]|\\.)*)"|`([^`]*)`|(\S+)/g)].map(
    (match) => match[1]?.replaceAll(/\\(.)/g, '$1') ?? match[2] ?? match[3] ?? '',
  );
}

function evaluateSource(source: readonly string[], host: HostFacts): Result<Value, string> {
  const [name = '', argument = ''] = source;
  const list = Object.hasOwn(sources, name) ? sources[name] : undefined;
  if (list !== undefined) return ok(list(host));
  const addresses = Object.hasOwn(addressFunctions, name) ? addressFunctions[name] : undefined;
  if (addresses !== undefined) {
    const found = (sources[addresses.list]?.(host) ?? []).map((each) => each.address);
    return ok(addresses.all ? found.join(' ') : (found[0] ?? ''));
  }
  if (name === 'GetInterfaceIP' || name === 'GetInterfaceIPs') {
    const pattern = regexp(argument);
    if (!pattern.ok) return pattern;
    const named = inDefaultOrder(host.interfaces, host).filter((each) => pattern.value.test(each.interface));
    if (name === 'GetInterfaceIPs') return ok(named.map((each) => each.address).join(' '));
    const forwardable = named.filter((each) => isPrivate(each.address) || isPublic(each.address));
    return ok(forwardable[0]?.address ?? '');
  }
  return err(`function ${JSON.stringify(name)} not defined (understood: ${understood})`);
}

function applyFilter(
  filter: readonly string[],
  list: readonly InterfaceAddress[],
  host: HostFacts,
): Result<Value, string> {
  const [name = '', first = '', second = ''] = filter;
  switch (name) {
    case 'include':
    case 'exclude': {
      const test = selector(first, second, host);
      if (!test.ok) return test;
      return ok(list.filter((each) => test.value(each) === (name === 'include')));
    }
    case 'sort':
      return sortBy(first, list, host);
    case 'limit':
    case 'offset': {
      const count = Number(first);
      if (!/^\d+$/.test(first)) return err(`${name} wants a number, not ${JSON.stringify(first)}`);
      return ok(name === 'limit' ? list.slice(0, count) : list.slice(count));
    }
    case 'attr':
    case 'join': {
      const attribute = attributeOf(first);
      if (attribute === undefined)
        return err(`attribute ${JSON.stringify(first)} not defined (use "address")`);
      const values = list.map(attribute);
      return ok(name === 'attr' ? (values[0] ?? '') : values.join(second));
    }
    default:
      return err(`function ${JSON.stringify(name)} not defined (understood: ${understood})`);
  }
}

type Test = (each: InterfaceAddress) => boolean;

function selector(kind: string, value: string, host: HostFacts): Result<Test, string> {
  switch (kind) {
    case 'name':
    case 'address': {
      const pattern = regexp(value);
      if (!pattern.ok) return pattern;
      return ok((each) => pattern.value.test(kind === 'name' ? each.interface : each.address));
    }
    case 'type':
      return ok((each) => value.toLowerCase() === 'ip' || each.family.toLowerCase() === value.toLowerCase());
    case 'network':
      if (!isCidr(value)) return err(`${JSON.stringify(value)} is not a network such as "10.0.0.0/8"`);
      return ok((each) => inNetworks(each.address, [value]));
    case 'rfc': {
      const networks = Object.hasOwn(networksOfRfc, value) ? networksOfRfc[value] : undefined;
      if (networks === undefined) return err(`RFC ${value} is not known (known: 1918, 4193, 6598, 6890)`);
      return ok((each) => inNetworks(each.address, networks));
    }
    case 'flag':
    case 'flags': {
      const tests = value.split('|').map((each) => flagTest(each.trim(), host));
      if (tests.some((test) => test === undefined)) {
        return err(`flags ${JSON.stringify(value)} not known (known: up, loopback, forwardable, default)`);
      }
      return ok((each) => tests.every((test) => test?.(each)));
    }
    default:
      return err(
        `cannot select by ${JSON.stringify(kind)} (known: name, address, type, network, rfc, flags)`,
      );
  }
}

function flagTest(name: string, host: HostFacts): Test | undefined {
  switch (name) {
    case 'up':
      return () => true; // Node lists only interfaces that are up.
    case 'loopback':
      return (each) => each.loopback;
    case 'forwardable':
      return (each) => isPrivate(each.address) || isPublic(each.address);
    case 'default':
      return (each) => each.interface === host.defaultInterface;
    default:
      return undefined;
  }
}

function attributeOf(name: string): ((each: InterfaceAddress) => string) | undefined {
  switch (name) {
    case 'address':
      return (each) => each.address;
    case 'name':
      return (each) => each.interface;
    case 'type':
      return (each) => each.family;
    default:
      return undefined;
  }
}

function sortBy(
  key: string,
  list: readonly InterfaceAddress[],
  host: HostFacts,
): Result<readonly InterfaceAddress[], string> {
  switch (key.replace(/^\+/, '')) {
    case 'default':
      return ok(inDefaultOrder(list, host));
    case 'type':
      return ok(list.toSorted((a, b) => compare(a.family, b.family)));
    case '-type':
      return ok(list.toSorted((a, b) => compare(b.family, a.family)));
    case 'name':
      return ok(list.toSorted((a, b) => compare(a.interface, b.interface)));
    default:
      return err(`cannot sort by ${JSON.stringify(key)} (known: default, type, name)`);
  }
}

/** The default route's interface first, IPv4 before IPv6, larger networks before smaller. */
function inDefaultOrder(list: readonly InterfaceAddress[], host: HostFacts): readonly InterfaceAddress[] {
  const rank = (each: InterfaceAddress): number => (each.interface === host.defaultInterface ? 0 : 1);
  return list.toSorted(
    (a, b) => rank(a) - rank(b) || compare(a.family, b.family) || a.prefixBits - b.prefixBits,
  );
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}

function regexp(pattern: string): Result<RegExp, string> {
  try {
    return ok(new RegExp(pattern));
  } catch {
    return err(`${JSON.stringify(pattern)} is not a regular expression`);
  }
}
