import { cpSync, mkdirSync, readFileSync, symlinkSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parse } from 'yaml';
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

export function readCompose(): Compose {
  return parse(readFileSync(join(projectRoot(), 'docker-compose.yml'), 'utf8')) as Compose;
}

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
