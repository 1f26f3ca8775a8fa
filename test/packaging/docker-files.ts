import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { Command } from 'commander';
import { parse } from 'yaml';
import { agentOptions, flagsToFragment } from '../../bin/cli/agent-flags.ts';
import { listFlag } from '../../bin/cli/flags.ts';
import type { AgentConfig } from '../../compat/config/agent-config.ts';
import type { HostFacts } from '../../compat/config/ip-address.ts';
import { loadAgentConfig } from '../../compat/config/load-config.ts';
import { noOptions } from '../../compat/config/load-options.ts';
import { renderProblems } from '../../compat/config/problems.ts';
import { projectRoot } from '../support/agent-process.ts';

export interface ComposeService {
  readonly image?: string;
  readonly build?: string;
  readonly command?: string | readonly string[];
  readonly entrypoint?: readonly string[];
  readonly ports?: readonly string[];
  readonly volumes?: readonly string[];
  readonly profiles?: readonly string[];
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>;
  readonly healthcheck?: { readonly test?: readonly string[]; readonly disable?: boolean };
}

export interface Compose {
  readonly services: Readonly<Record<string, ComposeService>>;
  readonly volumes: Readonly<Record<string, unknown>>;
}

/** As Compose reads it, with what `.env` gives for variables; one that the file requires and is not given throws. */
export function readCompose(env: Readonly<Record<string, string>>): Compose {
  const filled = composeText().replaceAll(/\$\{(\w+):\?([^}]*)\}/g, (_, name: string, complaint: string) => {
    const value = env[name] ?? '';
    if (value === '') throw new Error(`required variable ${name} is missing a value: ${complaint}`);
    return value;
  });
  return parse(filled, { merge: true }) as Compose;
}

export function composeText(): string {
  return readFileSync(join(projectRoot(), 'docker-compose.yml'), 'utf8');
}

/** The arguments of a service's `command: agent …`. */
export function agentArgs(compose: Compose, service: string): readonly string[] {
  const command = compose.services[service]?.command ?? [];
  return typeof command === 'string' ? command.split(' ') : command;
}

/** The configuration that a gateway with these arguments (`agent -flag=value …`) would have, on a host like any. */
export async function configOf(args: readonly string[]): Promise<AgentConfig> {
  const command = new Command().exitOverride().addOption(listFlag('hcl', 'text', ''));
  for (const option of agentOptions()) command.addOption(option);
  const [agent, ...flags] = args;
  if (agent !== 'agent') throw new Error(`it runs ${agent}`);
  command.parse(
    flags.map((flag) => `-${flag.includes('=') ? flag : `${flag}=true`}`),
    { from: 'user' },
  );
  const { hcl = [], ...values } = command.opts<{ readonly hcl?: readonly string[] }>();
  const loaded = await loadAgentConfig({ ...noOptions, hcl, flags: flagsToFragment(values) }, containerHost);
  if (!loaded.ok) throw new Error(renderProblems(loaded.error.problems));
  return loaded.value;
}

/** One network, as a container has. */
const containerHost: HostFacts = {
  hostname: '3f2a9c',
  interfaces: [
    {
      interface: 'eth0',
      address: '172.18.0.3',
      family: 'IPv4',
      prefixBits: 16,
      mac: '02:42:ac:12:00:03',
      loopback: false,
    },
  ],
  defaultInterface: 'eth0',
};

export interface Instruction {
  readonly name: string;
  readonly text: string;
}

/** The instructions of the Dockerfile, continued lines joined, stage by stage. */
export function readDockerStages(): readonly (readonly Instruction[])[] {
  const text = readFileSync(join(projectRoot(), 'Dockerfile'), 'utf8').replaceAll('\\\n', ' ');
  const stages: Instruction[][] = [];
  for (const line of text.split('\n')) {
    const match = /^([A-Z]+)\s+(.*)$/.exec(line);
    if (match === null) continue;
    const instruction = { name: match[1] as string, text: (match[2] as string).replaceAll(/\s+/g, ' ') };
    if (instruction.name === 'FROM') stages.push([]);
    stages.at(-1)?.push(instruction);
  }
  return stages;
}

/** `["a", "b"]` of a CMD, an ENTRYPOINT or a HEALTHCHECK. */
export function execForm(text: string): readonly string[] {
  return JSON.parse(text.slice(text.indexOf('['))) as string[];
}

/** What a stage copies from the build context, by place in the image (relative to its WORKDIR). */
export function copiesFromContext(stage: readonly Instruction[]): ReadonlyMap<string, string> {
  const copied = new Map<string, string>();
  for (const { name, text } of stage) {
    if (name !== 'COPY' || text.startsWith('--from=')) continue;
    const words = text.split(' ');
    const to = words.at(-1) as string;
    for (const from of words.slice(0, -1)) copied.set(to.endsWith('/') ? join(to, from) : to, from);
  }
  return copied;
}

/** Lays out a directory as the first stage of the Dockerfile has it when it builds, with what is installed here. */
export function layOutBuildStage(directory: string): void {
  const root = projectRoot();
  const [build] = readDockerStages();
  for (const [to, from] of copiesFromContext(build ?? [])) {
    mkdirSync(dirname(join(directory, to)), { recursive: true });
    cpSync(join(root, from), join(directory, to), { recursive: true });
  }
  symlinkSync(join(root, 'node_modules'), join(directory, 'node_modules'));
}
