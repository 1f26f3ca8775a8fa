import { readFileSync, realpathSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * The version in this package's own package.json, found upwards from the program that was started. That holds in the
 * source tree, in `dist`, and behind the link that npm makes in a bin directory.
 */
export function packageVersion(entryFile: string | undefined = process.argv[1]): string {
  try {
    let directory = dirname(realpathSync(entryFile ?? '.'));
    for (;;) {
      const version = versionIn(join(directory, 'package.json'));
      if (version !== undefined) return version;
      const above = dirname(directory);
      if (above === directory) return 'unknown';
      directory = above;
    }
  } catch {
    return 'unknown';
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
