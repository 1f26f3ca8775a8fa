import { stat } from 'node:fs/promises';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import type { AgentConfig } from './agent-config.ts';
import type { Fragment } from './config-schema.ts';
import { parseSource, readSources, type ConfigSource } from './config-sources.ts';
import { decodeFragment } from './decode-fragment.ts';
import { readHostFacts } from './host-facts.ts';
import type { HostFacts } from './ip-address.ts';
import type { LoadOptions } from './load-options.ts';
import { mergeFragments, splitFlags, withSinglesInLists } from './merge-fragments.ts';
import type { ConfigProblem } from './problems.ts';
import { resolveAgent } from './resolve-agent.ts';
import { resolveFleet } from './resolve-fleet.ts';
import { resolveIdentity } from './resolve-identity.ts';
import { resolveMigration } from './resolve-migration.ts';
import { resolveNetwork } from './resolve-network.ts';
import { resolveServing } from './resolve-serving.ts';
import { commandLine, Settings } from './settings.ts';

export interface ConfigFailure {
  /** At least one; `renderProblems` makes the text. */
  readonly problems: readonly ConfigProblem[];
  readonly warnings: readonly string[];
}

/**
 * Reads the files, lays them over each other in Consul's order (lists of flags, files as given, other flags, `-hcl`)
 * and checks the whole. Nothing is opened, bound or written. Everything that is wrong is reported at once.
 */
export async function loadAgentConfig(
  options: LoadOptions,
  host: HostFacts = readHostFacts(),
): Promise<Result<AgentConfig, ConfigFailure>> {
  const found = await readSources(options.paths, options.format);
  const problems: ConfigProblem[] = [...found.problems];
  const ignoredKeys = new Set<string>();
  const sourceOf = new Map<string, string>();
  const { lists, values } = splitFlags(options.flags);
  const fragments = options.hcl.map((text, i) => ({ name: `flags-${i}.hcl`, format: 'hcl' as const, text }));

  let merged: Fragment = {};
  const lay = (fragment: Fragment, keys: Iterable<string>, source: string): void => {
    merged = mergeFragments(merged, withSinglesInLists(fragment));
    for (const key of keys) sourceOf.set(key, source);
  };
  const layFile = (source: ConfigSource): void => {
    const parsed = parseSource(source);
    if (!parsed.ok) {
      problems.push({ source: source.name, message: `failed to parse ${source.name}: ${parsed.error}` });
      return;
    }
    if (parsed.value === undefined) return;
    const decoded = decodeFragment(parsed.value, source.name);
    problems.push(...decoded.problems);
    for (const key of decoded.ignoredKeys) ignoredKeys.add(key);
    lay(decoded.fragment, decoded.keys, source.name);
  };

  lay(lists, keysOf(lists), commandLine);
  for (const source of found.sources) layFile(source);
  lay(values, keysOf(values), commandLine);
  for (const fragment of fragments) layFile(fragment);
  // Flags go through the same decoder for the names of the ignored ones only; their kinds are the parser's matter.
  for (const key of decodeFragment(options.flags, commandLine).ignoredKeys) ignoredKeys.add(key);

  // Half-read files make follow-on errors that mislead: what cannot be parsed comes first.
  if (problems.length > 0) return err({ problems, warnings: found.warnings });

  const settings = new Settings(merged, sourceOf, options.devMode, host);
  const identity = resolveIdentity(settings);
  const network = resolveNetwork(settings);
  const serving = resolveServing(settings);
  const fleet = resolveFleet(settings, network, identity.server);
  const agent = resolveAgent(settings);
  const migration = resolveMigration(settings);
  await refuseFileAsDataDir(settings, identity.dataDir);
  const warnings = [...found.warnings, ...settings.warnings];
  if (settings.problems.length > 0) return err({ problems: settings.problems, warnings });
  return ok({
    ...identity,
    ...network,
    ...serving,
    ...fleet,
    ...agent,
    migration,
    ignoredKeys: [...ignoredKeys],
    warnings,
    sources: found.sources.map((source) => source.name),
    given: merged,
    loadOptions: options,
  });
}

function keysOf(fragment: Fragment, prefix = ''): readonly string[] {
  return Object.entries(fragment).flatMap(([name, value]) => {
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return [`${prefix}${name}`, ...(isObject ? keysOf(value as Fragment, `${prefix}${name}.`) : [])];
  });
}

async function refuseFileAsDataDir(settings: Settings, dataDir: string | undefined): Promise<void> {
  if (dataDir === undefined) return;
  try {
    if ((await stat(dataDir)).isDirectory()) return;
    settings.wrong('data_dir', `data_dir ${JSON.stringify(dataDir)} is not a directory`);
  } catch {
    // Not there yet, or out of reach: the agent makes it, or says why it cannot.
  }
}
