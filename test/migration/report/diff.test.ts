import { describe, expect, test } from '@jest/globals';
import { parse, type DefaultTreeAdapterTypes } from 'parse5';
import { buildReport } from '../../../migration/report/build.ts';
import { compareReports } from '../../../migration/report/diff.ts';
import { diffHtml } from '../../../migration/report/html/diff-html.ts';
import { reportHtml } from '../../../migration/report/html/report-html.ts';
import { comparisonJunit, gatesJunit } from '../../../migration/report/junit.ts';
import type { Report } from '../../../migration/report/model.ts';
import { comparisonHeadline, comparisonText } from '../../../migration/report/report-text.ts';
import { defaultThresholds } from '../../../migration/report/thresholds.ts';
import { facts, healthy, syntheticEvidence, type Process } from './synthetic.ts';

const report = (given: Partial<Process> = {}, id = 'run-1'): Report =>
  buildReport(syntheticEvidence(given), facts({ id }, { ...healthy, ...given }));
const base = report();

describe('two reports compared', () => {
  test('a report is the same as itself in every metric that it has', () => {
    for (const each of [base, report({ persistent: 1e-3 }), report({ reads: 300 })]) {
      const comparison = compareReports(each, each, defaultThresholds);
      expect(comparison).toMatchObject({ result: 'same', exitCode: 0 });
      expect(comparison.metrics.filter((metric) => metric.verdict !== 'same' && !metric.isAbsent)).toEqual(
        [],
      );
    }
  });

  test('more differences and slower answers are found worse, and better the other way round', () => {
    const bad = report({ seed: 2, persistent: 4e-4, transient: 4e-3, hereMs: 3 }, 'run-2');
    const worse = compareReports(base, bad, defaultThresholds);
    expect(worse).toMatchObject({ result: 'worse', exitCode: 1 });
    const names = worse.metrics.filter((metric) => metric.verdict === 'worse').map((metric) => metric.name);
    expect(names).toEqual(expect.arrayContaining(['persistent', 'first-look', 'latency:p50']));
    expect(compareReports(bad, base, defaultThresholds)).toMatchObject({ result: 'better', exitCode: 0 });
    expect(worse.keys.known && worse.keys.appeared.length).toBeGreaterThan(0);
  });

  test('two samples of one process are the same in at least 19 of 20 pairs', () => {
    const small = { gateways: 1, prefixes: ['app/'], reads: 400_000, timedThousands: 40, hours: 4 };
    const results = Array.from({ length: 20 }, (_, pair) => {
      const [a, b] = [
        report({ ...small, seed: 1000 + pair }),
        report({ ...small, seed: 2000 + pair }, 'run-2'),
      ];
      return compareReports(a, b, defaultThresholds).result;
    });
    expect(results.filter((result) => result === 'same').length).toBeGreaterThanOrEqual(19);
  });

  test('what was made differently is refused, and stamped where it is forced', () => {
    const other = report({ gateways: 2, seed: 3 }, 'run-3');
    expect(compareReports(base, other, defaultThresholds)).toMatchObject({
      result: 'incomparable',
      exitCode: 3,
    });
    const forced = compareReports(base, other, defaultThresholds, { force: true });
    expect(forced.forced).toBe(true);
    expect(diffHtml(forced, base, other)).toContain('FORCED');
  });

  test('too little data is unknown, never the same', () => {
    const [a, b] = [report({ reads: 50, seed: 4 }), report({ reads: 50, seed: 5 }, 'run-2')];
    expect(compareReports(a, b, defaultThresholds, { force: true })).toMatchObject({
      result: 'unknown',
      exitCode: 4,
    });
  });

  /** Of two reports of which all but the prefixes is one and the same. */
  const withPrefixes = (
    prefixes: readonly (readonly [name: string, compared: number])[],
    id: string,
  ): Report => {
    const [row] = base.prefixes;
    if (row === undefined) throw new Error('no prefix');
    const rows = prefixes.map(([prefix, compared]) => {
      const { rate: _left, ...counted } = { ...row, prefix, compared, matched: compared, transient: 0 };
      return { ...counted, indeterminate: 0, ignored: 0, persistent: 0 };
    });
    return { ...base, run: { ...base.run, id }, prefixes: rows };
  };

  test('a prefix that hardly anybody read on either side decides nothing, and is said with the result', () => {
    const [a, b] = [
      withPrefixes(
        [
          ['app/', 900_000],
          ['rare/', 20],
        ],
        'a',
      ),
      withPrefixes(
        [
          ['app/', 900_000],
          ['rare/', 30],
        ],
        'b',
      ),
    ] as const;
    const comparison = compareReports(a, b, defaultThresholds);
    expect(comparison).toMatchObject({ result: 'same', exitCode: 0 });
    expect(comparisonHeadline(comparison)).toContain('1 prefix with too little data to tell');
    expect(comparisonText(comparison)).toMatch(/UNKNOWN +differences that did not clear, rare\//);
  });

  test('a prefix that only one side read enough of is unknown, and so is the whole', () => {
    const a = withPrefixes(
      [
        ['app/', 900_000],
        ['once/', 80_000],
      ],
      'a',
    );
    for (const others of [
      [
        ['app/', 900_000],
        ['once/', 30],
      ],
      [['app/', 900_000]],
    ] as const) {
      const comparison = compareReports(a, withPrefixes(others, 'b'), defaultThresholds);
      expect(comparison).toMatchObject({ result: 'unknown', exitCode: 4 });
      expect(comparison.reasons.join()).toContain('once/');
    }
  });

  test('keys under another secret are not matched', () => {
    const other = report({ secretId: 'ffff', seed: 6 }, 'run-2');
    expect(compareReports(base, other, defaultThresholds).keys.known).toBe(false);
  });
});

describe('what is hostile in a report', () => {
  const evil = `"><script>alert(1)</script><img src=x onerror=alert(1)>'&\u202e\u0000`;
  const hostile: Report = {
    ...report({ persistent: 1e-3 }),
    verdict: { result: 'different', reasons: [evil] },
    notes: [evil],
    marks: [{ at: base.run.startedAt, what: evil, detail: evil, gateway: evil }],
  };
  const [sample] = hostile.samples;
  const full: Report = {
    ...hostile,
    run: { ...hostile.run, id: evil, source: { ...hostile.run.source, address: evil } },
    prefixes: hostile.prefixes.map((row) => ({ ...row, prefix: evil, phase: evil, byKind: { [evil]: 3 } })),
    timeline: (hostile.timeline ?? []).map((row) => ({ ...row, prefix: evil, phase: evil })),
    gate: [{ name: evil, title: evil, state: 'red', observed: evil, limit: evil, why: evil }],
    samples:
      sample === undefined
        ? []
        : [{ ...sample, outcome: evil, mismatch: evil, fields: [evil], key: { ...sample.key, key: evil } }],
  };

  test('is text on the page: no element, no attribute, no script of its own', () => {
    const pages = [
      reportHtml(full),
      diffHtml(compareReports(full, base, defaultThresholds, { force: true }), full, base),
    ];
    for (const page of pages) {
      const elements = elementsOf(parse(page));
      const tags = elements.map((element) => element.tagName);
      expect(tags.filter((tag) => tag === 'script')).toHaveLength(1);
      expect(tags.filter((tag) => ['img', 'iframe', 'object', 'link'].includes(tag))).toEqual([]);
      const attributes = elements.flatMap((element) => element.attrs.map((attr) => attr.name));
      expect(attributes.filter((name) => /^(?:on|style$|src$)/.test(name))).toEqual([]);
      expect(page).not.toContain('\u202e');
      expect(page).not.toContain('\u0000');
      expect(page).not.toMatch(/(?:src|href)="(?:https?:)?\/\//);
    }
  });

  test('is text in JUnit too', () => {
    for (const xml of [
      gatesJunit(full.gate ?? [], evil),
      comparisonJunit(compareReports(full, base, defaultThresholds)),
    ]) {
      expect(xml).not.toContain('<script>');
      expect(xml).not.toContain('\u0000');
    }
  });
});

function elementsOf(node: DefaultTreeAdapterTypes.Node): readonly DefaultTreeAdapterTypes.Element[] {
  const own = 'tagName' in node ? [node] : [];
  return 'childNodes' in node ? [...own, ...node.childNodes.flatMap(elementsOf)] : own;
}
