import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** The version in this package's own package.json. */
export function packageVersion(entryFile?: string): string {
  return find(entryFile)?.version ?? 'unknown';
}

/** Where this package's own package.json is, and what comes with it. */
export function packageDirectory(entryFile?: string): string | undefined {
  return find(entryFile)?.directory;
}

/**
 * Looks upwards from the program that was started. That holds in the source tree, in `dist`, and behind the link that npm
 * makes in a bin directory.
 */
function find(
  entryFile: string | undefined = process.argv[1],
): { readonly directory: string; readonly version: string } | undefined {
  try {
    let directory = dirname(realpathSync(entryFile ?? '.'));
    for (;;) {
      const version = versionIn(join(directory, 'package.json'));
      if (version !== undefined) return { directory, version };
      const above = dirname(directory);
      if (above === directory) return undefined;
      directory = above;
    }
  } catch {
    return undefined;
  }
}

function versionIn(file: string): string | undefined {
  try {
    const found = JSON.parse(readFileSync(file, 'utf8')) as {
      readonly name?: unknown;
      readonly version?: unknown;
    };
    return found.name === 'grapevine' && typeof found.version === 'string' ? found.version : undefined;
  } catch {
    return undefined;
  }
}
