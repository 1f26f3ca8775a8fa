import { existsSync } from 'node:fs';
import type { describe as jestDescribe, test as jestTest } from '@jest/globals';
import { chromium, type Browser } from 'playwright-core';

/** Where distributions put it. */
const places = [
  process.env['CHROMIUM_BIN'],
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
];

function browserBinary(): string | undefined {
  return places.find((path) => path !== undefined && path !== '' && existsSync(path));
}

/** A real browser without a window. It reaches nothing but what a test opens. */
export function startBrowser(): Promise<Browser> {
  const executablePath = browserBinary();
  if (executablePath === undefined) throw new Error(missing);
  // Containers give it no namespaces of its own, and little shared memory.
  const args = ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu'];
  return chromium.launch({ executablePath, args });
}

const missing = 'no chromium: install it (apt-get install chromium), or name it in CHROMIUM_BIN';

/**
 * `describe` for tests that need a browser. Where there is none they are left out, with the reason in the title; with
 * GRAPEVINE_REQUIRE_CONSUL=1 that is an error instead.
 */
export function describeBrowser(
  title: string,
  describeInner: (title: string, fn: () => void) => void,
  fn: () => void,
): void {
  if (browserBinary() !== undefined) return describeInner(title, fn);
  if (process.env['GRAPEVINE_REQUIRE_CONSUL'] === '1') throw new Error(`${title}: ${missing}`);
  const { describe, test } = globalThis as unknown as {
    describe: typeof jestDescribe;
    test: typeof jestTest;
  };
  return describe(title, () => {
    test.todo(`needs a browser: ${missing}`);
  });
}
