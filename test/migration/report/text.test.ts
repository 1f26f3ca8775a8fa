import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildReport as buildSweepReport } from '../../../migration/compare/report.ts';
import { perRunRedaction } from '../../../migration/compare/redaction.ts';
import { Sweep } from '../../../migration/compare/sweep.ts';
import { buildReport } from '../../../migration/report/build.ts';
import { htmlCommand, showCommand, type ReportHost } from '../../../migration/report/command.ts';
import { compareReports } from '../../../migration/report/diff.ts';
import type { Report } from '../../../migration/report/model.ts';
import { reportHtml } from '../../../migration/report/html/report-html.ts';
import { parseReport } from '../../../migration/report/read.ts';
import { comparisonText, gatesText, nextFor, reportText } from '../../../migration/report/report-text.ts';
import { defaultThresholds } from '../../../migration/report/thresholds.ts';
import { FakeConsul } from '../fake-consul.ts';
import { jumpingClock } from '../support.ts';
import { endMs, facts, syntheticEvidence } from './synthetic.ts';

const good = buildReport(syntheticEvidence(), facts());
const bad = buildReport(syntheticEvidence({ reads: 9000, persistent: 2e-3 }), facts());

let directory: string;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'report-text-'));
});
afterAll(() => rm(directory, { recursive: true }));

/** Writes what `migrate compare -out` writes of two sides, of which some keys differ. */
async function sweepReport(differ: number, reveal = false): Promise<Report> {
  const [source, target] = [new FakeConsul(), new FakeConsul()];
  for (let at = 0; at < 60; at += 1) {
    source.set(`app/${at}`, 'v');
    target.set(`app/${at}`, at < differ ? 'other' : 'v');
  }
  const self = { datacenter: 'dc1', nodeName: 'gateway', version: '', aclsEnabled: false };
  const shared = { prefixes: [''], kv: true, catalog: false, recheckDelaysMs: [1000] };
  const result = await new Sweep({
    ...shared,
    ...{ source, target, targetSelf: self, reveal, clock: jumpingClock() },
  }).run();
  const written = buildSweepReport({
    ...shared,
    ...{ id: 'sweep', startedAtMs: 1_800_000_000_000, finishedAtMs: 1_800_000_001_000, toolVersion: '0' },
    source: { address: 'http://10.0.0.1:8500', self },
    target: { address: 'http://10.0.0.2:8500', self },
    ...{ redaction: perRunRedaction(reveal ? 'revealed' : 'redacted'), retries: { source: 0, target: 0 } },
    result,
  });
  const read = parseReport(JSON.stringify(written));
  if (!read.ok) throw new Error(read.error);
  return read.value;
}

describe('a report as text', () => {
  test('leads with the verdict, and says what it rests on in some ten lines', () => {
    const lines = reportText(good, 'go on').split('\n');
    expect(lines[0]).toMatch(/^EQUAL: None of 990,000 compared reads .*below 3 ppm.*95 % confidence/);
    expect(lines.length).toBeLessThanOrEqual(12);
    expect(lines.at(-1)).toContain('go on');
  });

  test('names the worst prefix and the red gates of a bad one', () => {
    const text = reportText(bad, '');
    expect(text).toMatch(/^DIFFERENT: [\d,]+ of [\d,]+ compared reads differ for good/);
    expect(text).toMatch(new RegExp(`worst +${bad.prefixes[0]?.prefix ?? 'none'}`));
    expect(text).toContain('persistent red');
  });

  test('says of what is still to be looked at again that it is open, and not that it differs for good', () => {
    const { totals } = bad;
    const rate = { ...totals.rate, hits: totals.persistent + 2 };
    const text = reportText({ ...bad, totals: { ...totals, rate } }, '');
    expect(text).toMatch(
      /^DIFFERENT: [\d,]+ of [\d,]+ compared reads differ, 2 of them still to be looked at again:/,
    );
  });

  test('stamps what is revealed and what was overridden', () => {
    const override = { of: 'kv', prefix: 'app/', phase: 'cutover', at: good.run.finishedAt };
    const { run } = good;
    const text = reportText(
      {
        ...good,
        run: {
          ...run,
          redaction: { ...run.redaction, mode: 'revealed' },
          overrides: [{ ...override, by: 'ann', reason: 'it is late', gates: ['sweep'] }],
        },
      },
      '',
    );
    expect(text).toMatch(/OVERRIDE +ann passed over sweep for cutover of app\/: it is late/);
    expect(text).toContain('REVEALED');
  });

  test('shows control characters of a file, and never sends them to the terminal', () => {
    const evil = '\u001b[2Jgone\u202e';
    const text = reportText({ ...good, verdict: { result: 'different', reasons: [evil] } }, '');
    expect(text).not.toContain('\u001b');
    expect(text).toContain('\\u001b[2Jgone\\u202e');
  });

  test('gates come red first, then unknown, with what is asked', () => {
    const lines = gatesText(bad.gate ?? []).split('\n');
    expect(lines[0]).toMatch(/^RED: \d+ of \d+ gates do not hold/);
    const states = lines.slice(1).map((line) => line.trim().split(' ')[0] ?? '');
    const order = ['RED', 'UNKNOWN', 'GREEN', 'off'];
    expect(states).toEqual(states.toSorted((a, b) => order.indexOf(a) - order.indexOf(b)));
    expect(lines[1]).toContain('asked:');
  });

  test('a comparison leads with its result and lists what is worse first', () => {
    const text = comparisonText(compareReports(good, bad, defaultThresholds, { force: true }));
    expect(text).toMatch(/^WORSE: \d+ of \d+ metrics regressed/);
    expect(text).toContain('WORSE     differences that did not clear');
    const refused = comparisonText(
      compareReports(good, { ...bad, run: { ...bad.run, mode: 'sweep' } }, defaultThresholds),
    );
    expect(refused).toMatch(/^NOT COMPARABLE/);
    expect(refused).toContain('kind of report: shadow against sweep');
  });
});

describe('the next command', () => {
  test('asks both sides for the names where the report has none, and else mends by the report', () => {
    expect(nextFor(bad, 'r.json')).toContain('migrate verify -json > verify.json');
    const samples = bad.samples.map((sample) => ({ ...sample, key: { ...sample.key, key: 'app/1' } }));
    expect(nextFor({ ...bad, samples }, 'my report.json')).toContain("migrate repair -from='my report.json'");
  });

  test('is the next phase, dry, where all gates are green, and else what is missing', () => {
    expect(nextFor(good, 'r.json')).toContain('migrate phase app/ local-reads -dry-run');
    const [first, ...others] = good.gate ?? [];
    if (first === undefined) throw new Error('no gates');
    const gate = [{ ...first, state: 'unknown' as const }, ...others];
    expect(nextFor({ ...good, gate }, 'r.json')).toContain('grapevine report gate r.json');
  });

  test('cannot be made to run what a file says', () => {
    const { run } = good;
    const phases = (run.phases ?? []).map((rule) => ({ ...rule, prefix: "$(reboot)'; reboot" }));
    expect(nextFor({ ...good, run: { ...run, phases } }, 'r.json')).toContain(`'$(reboot)'\\''; reboot'`);
  });
});

test('an override of the catalog names it, in text and among the caveats', () => {
  const override = {
    ...{ of: 'catalog', prefix: '', phase: 'cutover', atMs: endMs, by: 'ann', reason: 'late' },
    gates: ['sweep'],
  };
  const report = buildReport(syntheticEvidence(), facts({ overrides: [override] }));
  expect(reportText(report, '')).toMatch(/OVERRIDE +ann passed over sweep for cutover of the catalog: late/);
  expect(report.notes?.join(' ')).toContain('for cutover of the catalog: sweep.');
});

describe('a report as a page', () => {
  test('bunches marks that would stand on each other, and names what it cannot judge yet as such', () => {
    const marks = [0, 1000, 2000].map((ms) => ({
      ...{ atMs: endMs - 3_600_000 + ms, what: 'step', detail: `step ${ms}`, gateway: 'gw-1' },
    }));
    const report = buildReport(syntheticEvidence(), facts({ marks }));
    const page = reportHtml({ ...report, gamma: { ...gammaOf(report), writes: 0, violations: 0 } });
    expect(page.match(/class="mark-number"[^>]*>\s*([^<]*?)\s*</g)?.at(-1)).toMatch(/\d+–\d+/);
    expect(page).toContain('nothing to judge by.');
    expect(page).not.toContain('nothing to judge by operations');
  });

  test('says against whom, also where a gateway has only a name', () => {
    const target = { address: '', datacenter: 'dc1', node: 'gw-1', version: '0.1.0' };
    const report = buildReport(syntheticEvidence(), facts({ target }));
    expect(reportHtml(report)).toContain('http://10.0.0.1:8500 → gw-1</h1>');
    expect(reportText(report, '')).toContain('http://10.0.0.1:8500 (1.20.1) against gw-1');
  });
});

function gammaOf(report: Report): NonNullable<Report['gamma']> {
  if (report.gamma === undefined) throw new Error('it has none');
  return report.gamma;
}

describe('what `migrate compare -out` writes', () => {
  test('is shown, and made a page of', async () => {
    const path = join(directory, 'sweep.json');
    await writeFile(path, JSON.stringify(await sweepReport(2)));
    const printed: string[] = [];
    const host = hostOf(printed);
    expect(await showCommand(path, {}, host)).toBe(0);
    expect(printed.join('\n')).toMatch(/^DIFFERENT: 2 of 60 entries differ for good/);
    expect(printed.join('\n')).toContain('migrate copy -from=http://10.0.0.1:8500 -to=http://10.0.0.2:8500');
    expect(await htmlCommand(path, {}, host)).toBe(0);
    expect(await readFile(join(directory, 'sweep.html'), 'utf8')).toContain('DIFFERENT');
  });

  test('is the same as another one that found as much, and worse where one more entry differs', async () => {
    const [none, one] = [await sweepReport(0), await sweepReport(1)];
    const again = { ...(await sweepReport(0)), run: { ...none.run, id: 'again' } };
    expect(compareReports(none, again, defaultThresholds)).toMatchObject({ result: 'same', exitCode: 0 });
    expect(compareReports(none, one, defaultThresholds)).toMatchObject({ result: 'worse', exitCode: 1 });
    expect(compareReports(one, again, defaultThresholds)).toMatchObject({ result: 'better', exitCode: 0 });
    const undecided = { ...again.totals, matched: 59, indeterminate: 1 };
    const prefixes = again.prefixes.map((row) => ({ ...row, matched: 59, indeterminate: 1 }));
    expect(compareReports(none, { ...again, totals: undecided, prefixes }, defaultThresholds)).toMatchObject({
      result: 'unknown',
      exitCode: 4,
    });
  });

  test('is for its owner alone where it shows keys in clear', async () => {
    const path = join(directory, 'revealed.json');
    await writeFile(path, JSON.stringify(await sweepReport(1, true)));
    const out = join(directory, 'revealed.html');
    expect(await htmlCommand(path, { out }, hostOf([]))).toBe(0);
    expect((await stat(out)).mode & 0o777).toBe(0o600);
    expect(await readFile(out, 'utf8')).toContain('REVEALED');
  });
});

function hostOf(printed: string[]): ReportHost {
  return {
    print: (line) => void printed.push(line),
    complain: (line) => void printed.push(line),
    nowMs: () => 1_800_000_002_000,
    stdin: () => Promise.resolve(''),
  };
}
