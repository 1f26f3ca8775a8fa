import { readFile, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { parseHcl } from './hcl.ts';
import type { ConfigProblem } from './problems.ts';

export type ConfigFormat = 'json' | 'hcl';

/** One piece of configuration, read but not yet understood. */
export interface ConfigSource {
  /** As shown in messages: the path as it was given, or `flags-0.hcl`. */
  readonly name: string;
  readonly format: ConfigFormat;
  readonly text: string;
}

export interface FoundSources {
  readonly sources: readonly ConfigSource[];
  readonly warnings: readonly string[];
  readonly problems: readonly ConfigProblem[];
}

/**
 * Reads the files and directories named by `-config-file` and `-config-dir`, in the order given; in a directory
 * those that end in `.json` or `.hcl` (all of them with a format), by name, not those in directories below.
 */
export async function readSources(
  paths: readonly string[],
  format: ConfigFormat | undefined,
): Promise<FoundSources> {
  const sources: ConfigSource[] = [];
  const warnings: string[] = [];
  const problems: ConfigProblem[] = [];
  for (const path of paths) {
    const found = await filesAt(path);
    if (!found.ok) {
      problems.push({ message: `config: Open failed on ${path}. ${found.error}`, source: path });
      continue;
    }
    for (const file of found.value) {
      const fileFormat = format ?? formatOf(file);
      if (fileFormat === undefined) {
        warnings.push(`skipping file ${file}, extension must be .hcl or .json, or config format must be set`);
        continue;
      }
      try {
        sources.push({ name: file, format: fileFormat, text: await readFile(file, 'utf8') });
      } catch (error) {
        problems.push({ message: `config: Open failed on ${file}. ${reason(error, file)}`, source: file });
      }
    }
  }
  return { sources, warnings, problems };
}

async function filesAt(path: string): Promise<Result<readonly string[], string>> {
  try {
    if (!(await stat(path)).isDirectory()) return ok([path]);
    const names = (await readdir(path)).toSorted((a, b) => (a < b ? -1 : 1));
    const files: string[] = [];
    for (const name of names) {
      // Follows links: a directory mounted by Kubernetes holds links to its files.
      const file = join(path, name);
      if (!(await stat(file)).isDirectory()) files.push(file);
    }
    return ok(files);
  } catch (error) {
    return err(reason(error, path));
  }
}

function formatOf(file: string): ConfigFormat | undefined {
  if (file.endsWith('.json')) return 'json';
  return file.endsWith('.hcl') ? 'hcl' : undefined;
}

function reason(error: unknown, path: string): string {
  const code = (error as NodeJS.ErrnoException).code;
  if (code === 'ENOENT') return `open ${path}: no such file or directory`;
  if (code === 'EACCES' || code === 'EPERM') return `open ${path}: permission denied`;
  return error instanceof Error ? error.message : String(error);
}

/** The parsed text; undefined when there is nothing in it. The error is a reason without the file's name. */
export function parseSource(source: ConfigSource): Result<unknown, string> {
  if (source.text === '') return ok(undefined);
  // As HCL's own reader does: a file that starts with a brace is JSON.
  if (source.format === 'hcl' && !source.text.trimStart().startsWith('{')) return parseHcl(source.text);
  try {
    const value: unknown = JSON.parse(source.text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return ok(value);
    return err('the file must hold one JSON object, in braces');
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    const at = /position (\d+)/.exec(text)?.[1];
    return err(at === undefined ? text : `${text} (${lineAndColumn(source.text, Number(at))})`);
  }
}

function lineAndColumn(text: string, at: number): string {
  const before = text.slice(0, at);
  return `line ${before.split('\n').length}, column ${at - before.lastIndexOf('\n')}`;
}
