import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { projectRoot, runCommand, type CommandResult } from '../support/agent-process.ts';
import { describeRealConsul } from '../support/real-consul.ts';

const demoMsMax = 240_000;

describeRealConsul('the first command of the README', () => {
  let place: string;
  let ran: CommandResult;

  beforeAll(async () => {
    place = await mkdtemp(join(tmpdir(), 'demo-test-'));
    const cwd = projectRoot();
    // `npm run demo` builds first, and so do all tests together.
    if (!existsSync(join(cwd, 'dist/bin/grapevine.js'))) await runCommand('npm', ['run', 'build'], { cwd });
    ran = await runCommand(process.execPath, ['--import', 'tsx', 'scripts/demo.ts'], {
      cwd,
      env: { GRAPEVINE_DEMO_SHORT: '1', GRAPEVINE_DEMO_OUT: place, TMPDIR: place },
      signal: AbortSignal.timeout(demoMsMax - 5000),
    });
  }, demoMsMax);
  afterAll(async () => {
    await rm(place, { recursive: true, force: true });
  });

  test('moves a live Consul to a cutover and back, loses nothing, and ends with exit code 0', () => {
    expect(ran.stdout).not.toContain('NOT AS IT SHOULD BE');
    const milestones = [
      'A real Consul (Consul v',
      'Six clients work on',
      'The gateways know the source; everything is passthrough.',
      'is in phase mirror, and every gateway acts on it',
      'is in phase dual, and every gateway acts on it',
      'is in phase shadow, and every gateway acts on it',
      'more reads were compared',
      'kill -9',
      'Exit code',
      'is in phase local-reads, and every gateway acts on it',
      'Went well: a cutover and the way back were walked',
      'is in phase cutover, and every gateway acts on it',
      'copied back to Consul',
      'kv app/: cutover -> local-reads',
      'Nothing is lost: all ',
      'All of it was as said.',
    ];
    let from = 0;
    for (const milestone of milestones) {
      const at = ran.stdout.indexOf(milestone, from);
      expect([milestone, at >= from]).toEqual([milestone, true]);
      from = at;
    }
    expect(ran.code).toBe(0);
  });

  test('leaves two reports, each as a page that needs nothing else, and their comparison', () => {
    for (const name of ['before', 'after']) {
      const report = JSON.parse(readFileSync(join(place, `${name}.json`), 'utf8')) as {
        readonly schema: string;
        readonly totals: { readonly compared: number };
      };
      expect(report.schema).toBe('readconsistency/1');
      expect(report.totals.compared).toBeGreaterThan(0);
      expect(readFileSync(join(place, `${name}.html`), 'utf8')).toMatch(/^<!doctype html>/i);
    }
    expect(existsSync(join(place, 'diff.html'))).toBe(true);
  });

  test('leaves no data of its agents behind', () => {
    expect(readdirSync(place).filter((name) => name.startsWith('grapevine-demo-'))).toEqual([]);
  });
});
