import { parseGoDuration, nsPerMs } from '../wire/go-duration.ts';
import { fillAddressTemplate } from './address-template.ts';
import type { Fragment } from './config-schema.ts';
import { familyOf, isCidr, type HostFacts } from './ip-address.ts';
import { showValue, type ConfigProblem } from './problems.ts';

export const commandLine = 'the command line';

/**
 * The merged configuration while it is being checked: what was set, where each key came from, and what is wrong or
 * worth a warning so far. Methods that find a value wrong note it and return a stand-in, so that one run finds
 * everything that is wrong.
 */
export class Settings {
  readonly set: Fragment;
  readonly devMode: boolean;
  readonly host: HostFacts;
  readonly #sourceOf: ReadonlyMap<string, string>;
  readonly #problems: ConfigProblem[] = [];
  readonly #warnings = new Set<string>();

  constructor(set: Fragment, sourceOf: ReadonlyMap<string, string>, devMode: boolean, host: HostFacts) {
    this.set = set;
    this.devMode = devMode;
    this.host = host;
    this.#sourceOf = sourceOf;
  }

  get problems(): readonly ConfigProblem[] {
    return this.#problems;
  }

  get warnings(): readonly string[] {
    return [...this.#warnings];
  }

  warn(sentence: string): void {
    this.#warnings.add(sentence);
  }

  /** Notes that the value of `key` is wrong. `message` says what; the file and what is allowed are added. */
  wrong(key: string, message: string, allowed?: string): void {
    const source = this.#sourceOf.get(key);
    const notes = [
      ...(source === undefined ? [] : [source === commandLine ? `on ${source}` : `in ${source}`]),
      ...(allowed === undefined ? [] : [`allowed: ${allowed}`]),
    ];
    this.#problems.push({
      key,
      message: notes.length === 0 ? message : `${message} (${notes.join('; ')})`,
      ...(source === undefined ? {} : { source }),
    });
  }

  /** A duration in milliseconds. */
  durationMs(key: string, value: string | undefined, defaultMs: number): number {
    if (value === undefined) return defaultMs;
    const allowed = 'a duration such as "10s", "5m" or "1h30m"';
    const parsed = parseGoDuration(value);
    if (!parsed.ok) {
      this.wrong(key, `${key}: invalid duration: ${showValue(value)}: ${parsed.error}`, allowed);
      return defaultMs;
    }
    if (parsed.value < 0) {
      this.wrong(key, `${key}: invalid duration: ${showValue(value)}: must not be negative`, allowed);
      return defaultMs;
    }
    return parsed.value / nsPerMs;
  }

  /** A whole number of at least `min`. */
  atLeast(key: string, value: number | undefined, min: number, defaultValue: number): number {
    if (value === undefined) return defaultValue;
    if (value >= min) return value;
    const words = min === 0 ? 'greater than or equal to zero' : `greater than or equal to ${min}`;
    this.wrong(key, `${key} cannot be ${value}. Must be ${words}`);
    return defaultValue;
  }

  /** A whole number between two, both allowed. */
  within(
    key: string,
    value: number | undefined,
    { min, max, byDefault }: { readonly min: number; readonly max: number; readonly byDefault: number },
  ): number {
    if (value === undefined) return byDefault;
    if (value >= min && value <= max) return value;
    this.wrong(key, `${key} cannot be ${value}`, `${min} to ${max}`);
    return byDefault;
  }

  /** A port; -1 where it is off, which Consul also writes as 0. */
  port(key: string, value: number | undefined, defaultPort: number): number {
    if (value === undefined) return defaultPort;
    if (value <= 0) return -1;
    if (value <= 65535) return value;
    this.wrong(key, `${key}: invalid port: ${value}`, '1 to 65535, or -1 to turn it off');
    return -1;
  }

  cidrs(key: string, values: readonly string[] | undefined): readonly string[] {
    for (const value of values ?? []) {
      if (!isCidr(value)) this.wrong(key, `${key}: invalid cidr: ${value}`, 'networks such as "10.0.0.0/8"');
    }
    return values ?? [];
  }

  /** Fills in a template and splits at spaces. Each is an IP address, or a `unix://` path where these may stand. */
  addresses(key: string, value: string, unixToo: boolean): readonly string[] {
    const filled = fillAddressTemplate(value, this.host);
    if (!filled.ok) {
      this.wrong(key, `${key}: ${filled.error}`);
      return [];
    }
    const found = filled.value.split(/\s+/).filter((each) => each !== '');
    if (found.length === 0 && value.trim() !== '') {
      const known = this.host.interfaces.map((each) => `${each.interface} ${each.address}`).join(', ');
      this.wrong(key, `${key}: ${value.trim()} gives no address on this machine, which has ${known}`);
    }
    return found.filter((each) => {
      if (each.startsWith('unix://')) {
        if (!unixToo) this.wrong(key, `${key} cannot be a unix socket`);
        else if (each === 'unix://')
          this.wrong(key, `${key}: unix:// needs a path, as unix:///run/grapevine.sock`);
        return unixToo;
      }
      if (familyOf(each) !== undefined) return true;
      const allowed = unixToo ? 'IP addresses and unix:// paths, separated by spaces' : 'an IP address';
      this.wrong(key, `${key}: invalid ip address: ${each}`, allowed);
      return false;
    });
  }

  /** One IP address; undefined when unset or wrong. */
  address(key: string, value: string | undefined): string | undefined {
    if (value === undefined || value.trim() === '') return undefined;
    const found = this.addresses(key, value, false);
    if (found.length > 1) this.wrong(key, `${key}: multiple addresses found: ${found.join(' ')}`);
    return found[0];
  }
}
