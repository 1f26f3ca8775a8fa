import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { mergeSnapshots } from '../../../migration/evidence/merge.ts';
import { evidenceSchema } from '../../../migration/evidence/snapshot.ts';
import { buildReport } from '../../../migration/report/build.ts';
import { gatesState } from '../../../migration/report/gates.ts';
import { publishedSchemas } from '../../../migration/report/json-schema.ts';
import type { RunFacts } from '../../../migration/report/run-facts.ts';
import { parseReport, parseThresholds } from '../../../migration/report/read.ts';
import { samplesText } from '../../../migration/report/samples.ts';
import { defaultThresholds } from '../../../migration/report/thresholds.ts';
import { seededChance } from '../../../migration/evidence/statistics.ts';
import { drawn, endMs, facts, healthy, syntheticEvidence } from './synthetic.ts';

const clean = syntheticEvidence({ reads: 60_000 });

describe('a report built from evidence', () => {
  test('counts what the gateways counted, in total, by prefix, by endpoint and by gateway', () => {
    const report = buildReport(clean, facts());
    const compared = clean.parts
      .flatMap((part) => part.cells)
      .reduce((sum, cell) => sum + cell.counts.compared, 0);
    expect(report.totals.compared).toBe(compared);
    for (const rows of [report.prefixes, report.endpoints ?? [], report.gateways ?? []]) {
      expect(rows.reduce((sum, row) => sum + row.compared, 0)).toBe(compared);
      expect(rows.reduce((sum, row) => sum + row.transient, 0)).toBe(report.totals.transient);
    }
    expect(report.histograms?.latency.source.count).toBe(
      (report.endpoints ?? []).reduce((sum, row) => sum + row.latency.source.n, 0),
    );
    expect(report.coverage.continuousMs).toBe(healthy.hours * 3_600_000);
  });

  test('is equal, whatever the order in which gateways told', () => {
    const [first, ...others] = clean.parts;
    const apart = [
      { schema: evidenceSchema, parts: others, absent: [] },
      { schema: evidenceSchema, parts: first === undefined ? [] : [first], absent: [] },
    ] as const;
    expect(buildReport(mergeSnapshots(apart[0], apart[1]), facts())).toEqual(buildReport(clean, facts()));
  });

  test('of a clean run over a day says equal, and all its gates are green', () => {
    const report = buildReport(clean, facts());
    expect(report.verdict).toEqual({ result: 'equal', reasons: [] });
    expect((report.gate ?? []).filter((gate) => gate.state !== 'green').map((gate) => gate.name)).toEqual([
      'noise',
    ]);
    expect(gatesState(report.gate ?? [])).toBe('green');
  });

  test('with no difference in few reads says unknown, and how many more are needed', () => {
    const report = buildReport(syntheticEvidence({ reads: 500, transient: 0 }), facts());
    expect(report.totals.persistent).toBe(0);
    expect(report.verdict.result).toBe('unknown');
    const missing = 300_000 - report.totals.compared;
    expect(report.verdict.reasons.join()).toContain(`${missing.toLocaleString('en-US')} more reads`);
    expect(report.gate?.find((gate) => gate.name === 'non-transient')?.state).toBe('unknown');
  });

  test('of nothing says unknown, and no gate that needs evidence is green', () => {
    const report = buildReport({ schema: evidenceSchema, parts: [], absent: [] }, facts());
    expect(report.verdict).toEqual({ result: 'unknown', reasons: ['nothing was compared'] });
    const green = (report.gate ?? []).filter((gate) => gate.state === 'green').map((gate) => gate.name);
    for (const name of ['persistent', 'non-transient', 'sweep', 'sessions', 'staleness', 'dropped', 'window'])
      expect(green).not.toContain(name);
    expect(parseReport(JSON.stringify(report)).ok).toBe(true);
  });

  test('names what differs for good, and prints an interval that the true rate lies in', () => {
    const report = buildReport(syntheticEvidence({ persistent: 2e-3 }), facts());
    expect(report.verdict.result).toBe('different');
    const [low, high] = report.totals.rate.interval95 ?? [1, 0];
    expect(low).toBeLessThan(2e-3);
    expect(high).toBeGreaterThan(2e-3);
    expect(report.totals.rate.method).toBe('bootstrap-by-key');
    expect(report.gate?.find((gate) => gate.name === 'persistent')?.state).toBe('red');
    expect(report.prefixes[0]?.persistent).toBeGreaterThan(0);
  });

  test('counts a difference that is still open neither as cleared nor as equal', () => {
    const evidence = structuredClone(clean);
    const cell = evidence.parts[0]?.cells[0];
    if (cell === undefined) throw new Error('no cell');
    cell.counts.open += 1;
    cell.counts.matched -= 1;
    const report = buildReport(evidence, facts());
    expect(report.totals.rate.hits).toBe(1);
    expect(report.verdict).toMatchObject({ result: 'unknown', reasons: ['1 difference not settled yet'] });
  });

  test('of one rule leaves out what other rules counted', () => {
    const report = buildReport(clean, facts({ scope: { of: 'kv', prefix: 'config/' } }));
    expect(report.prefixes.map((row) => row.prefix)).toEqual(['config/']);
    expect(report.run.phases?.map((rule) => rule.prefix)).toEqual(['config/']);
    expect(report.coverage.sweeps).toHaveLength(1);
  });

  test('of one rule marks its own steps, and what concerns every rule', () => {
    const gateway = 'gw-1';
    const marks = [
      { atMs: endMs - 3, what: 'step', detail: 'the rule "app/": shadow -> local-reads', gateway },
      { atMs: endMs - 2, what: 'step', detail: 'the rule "config/": mirror -> dual', gateway },
      { atMs: endMs - 1, what: 'rehearsal', detail: 'went well', gateway },
    ];
    const marked = (given: Partial<RunFacts>) =>
      (buildReport(clean, facts({ marks, ...given })).marks ?? []).slice(-3).map(({ detail }) => detail);
    expect(marked({})).toEqual(marks.map(({ detail }) => detail));
    const own = marked({ scope: { of: 'kv', prefix: 'config/' } });
    expect(own.slice(-2)).toEqual(['the rule "config/": mirror -> dual', 'went well']);
    expect(own).not.toContain('the rule "app/": shadow -> local-reads');
  });

  test('prints every override and every caveat', () => {
    const override = {
      of: 'kv',
      prefix: 'app/',
      phase: 'cutover',
      atMs: endMs - 1000,
      by: 'ann',
      reason: 'the window closes',
      gates: ['sweep'],
    };
    const report = buildReport(
      clean,
      facts({ overrides: [override], clockSkewMsMax: null, notes: ['by hand'] }),
    );
    expect(report.run.overrides?.[0]?.reason).toBe('the window closes');
    expect(report.notes.join('\n')).toMatch(/OVERRIDDEN by ann.*sweep.*the window closes/);
    expect(report.notes).toContain('by hand');
    expect(report.notes.join('\n')).toContain('wall clocks');
  });

  test('says so where a live gateway told nothing, or long ago', () => {
    const parts = clean.parts.slice(0, 2).map((part) => ({ ...part, untilMs: endMs - 7_200_000 }));
    const report = buildReport({ ...clean, parts }, facts());
    expect(report.notes).toContain('Gateway gw-3 gave no evidence.');
    expect(report.gate?.find((gate) => gate.name === 'age')).toMatchObject({ state: 'red', observed: '2 h' });
  });

  test('carries its samples one a line', () => {
    const report = buildReport(syntheticEvidence({ persistent: 1e-3 }), facts());
    const lines = samplesText(report).trimEnd().split('\n');
    expect(lines).toHaveLength(report.samples.length);
    expect(lines.map((line) => JSON.parse(line) as unknown)).toEqual(report.samples);
  });
});

describe('the published schema', () => {
  const folder = join(process.cwd(), 'docs/report-schema');
  const published = (name: string): object => JSON.parse(readFileSync(join(folder, name), 'utf8')) as object;

  test('is what the code reads (else: npx tsx scripts/report-schema.ts)', () => {
    for (const [name, schema] of Object.entries(publishedSchemas())) {
      expect(published(name)).toEqual(JSON.parse(JSON.stringify(schema)));
    }
  });

  test('holds for every report that is built, and for the default thresholds', () => {
    const ajv = new Ajv2020({ strict: true, allowUnionTypes: true });
    const valid = ajv.compile(published('readconsistency-1.schema.json'));
    const reports = [
      buildReport(clean, facts()),
      buildReport({ schema: evidenceSchema, parts: [], absent: [] }, facts()),
      buildReport(syntheticEvidence({ persistent: 1e-3, violationsPerMillion: 50 }), facts()),
    ];
    for (const report of reports) {
      expect([valid(JSON.parse(JSON.stringify(report))), valid.errors]).toEqual([true, null]);
    }
    const validThresholds = ajv.compile(published('readconsistency-thresholds-1.schema.json'));
    expect(validThresholds(defaultThresholds)).toBe(true);
    expect(validThresholds({ gate: { persistentMax: null } })).toBe(true);
  });
});

describe('reading a report', () => {
  const text = JSON.stringify(buildReport(syntheticEvidence({ reads: 2000 }), facts()));

  test('gives back what was written', () => {
    const read = parseReport(text);
    expect(read.ok && JSON.parse(JSON.stringify(read.value))).toEqual(JSON.parse(text));
  });

  test('passes over what a later minor added', () => {
    const later = { ...(JSON.parse(text) as object), minor: 9, moon: { phase: 'full' } };
    expect(parseReport(JSON.stringify(later)).ok).toBe(true);
  });

  test.each([
    ['', 'empty'],
    [text.slice(0, 4000), 'cut short'],
    ['[]', 'no `schema`'],
    ['{"schema":"sarif/2"}', 'sarif/2'],
    ['{"schema":"readconsistency/2"}', 'newer grapevine'],
    ['{"schema":"readconsistency/1"}', 'verdict'],
    [text.replace('"totals":{"compared":', '"totals":{"compared":1'), 'contradict'],
    [text.replace('"persistent":0', '"persistent":-1'), 'persistent'],
  ])('refuses what is none, and says why (%#)', (bad, why) => {
    const read = parseReport(bad);
    expect(read.ok ? '' : read.error).toContain(why);
  });

  test('refuses thresholds with a name that is mistyped', () => {
    const read = parseThresholds('{"gate":{"persistantMax":0}}');
    expect(read.ok ? '' : read.error).toContain('persistantMax');
    expect(parseThresholds('{}')).toEqual({ ok: true, value: defaultThresholds });
  });
});

test('the synthetic process draws about as many hits as it is told', () => {
  const chance = seededChance(7);
  const sum = Array.from({ length: 400 }, () => drawn(1000, 5e-3, chance)).reduce((a, b) => a + b, 0);
  expect(sum / 400).toBeGreaterThan(3);
  expect(sum / 400).toBeLessThan(7);
});
