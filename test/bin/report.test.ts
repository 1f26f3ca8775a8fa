import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildReport } from '../../migration/report/build.ts';
import type { Report } from '../../migration/report/model.ts';
import { endMs, facts, healthy, syntheticEvidence, type Process } from '../migration/report/synthetic.ts';
import { gatewayCommand } from '../support/gateway-process.ts';

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

let directory: string;
const ran = new Map<string, Ran>();

const commands = {
  'show good': ['show', 'good.json'],
  'show no report': ['show', 'other.json'],
  'gate old': ['gate', 'good.json', '-junit=gate.xml'],
  'gate unknown': ['gate', '-thresholds=age.json', 'few.json'],
  'gate green': ['gate', '-thresholds=age.json', 'good.json'],
  'diff worse': ['diff', '-junit=diff.xml', '-html=diff.html', 'good.json', 'bad.json'],
  'diff other': ['diff', 'good.json', 'other-gateways.json'],
  'diff few': ['diff', '-force', 'good.json', 'few.json'],
} as const;

/** The real program, a few at a time. */
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'grapevine-report-'));
  const report = (given: Partial<Process>, id: string): Report =>
    buildReport(syntheticEvidence(given), facts({ id }, { ...healthy, ...given }));
  const files: Readonly<Record<string, unknown>> = {
    'good.json': report({}, 'good'),
    'bad.json': report({ seed: 2, persistent: 4e-4, hereMs: 4 }, 'bad <&"\'>'),
    'few.json': report({ reads: 50, seed: 3 }, 'few'),
    'other-gateways.json': report({ gateways: 2, seed: 4 }, 'other'),
    'other.json': { schema: 'sarif/2' },
    // The files are of another day than the clock of the program.
    'age.json': { gate: { reportAgeMsMax: Math.abs(Date.now() - endMs) * 2 + 1e15 } },
  };
  await Promise.all(
    Object.entries(files).map(([name, file]) => writeFile(join(directory, name), JSON.stringify(file))),
  );
  const todo = Object.entries(commands);
  const next = async (): Promise<void> => {
    for (let each = todo.shift(); each !== undefined; each = todo.shift()) {
      ran.set(each[0], await grapevine(each[1]));
    }
  };
  await Promise.all([next(), next(), next()]);
}, 240_000);

afterAll(() => rm(directory, { recursive: true }));

function grapevine(args: readonly string[]): Promise<Ran> {
  const [program, ...before] = gatewayCommand();
  return new Promise((resolve) => {
    execFile(program, [...before, 'report', ...args], { cwd: directory }, (error, out, err) => {
      resolve({ code: error === null ? 0 : Number(error.code), out, err });
    });
  });
}

describe('grapevine report', () => {
  test.each<readonly [run: keyof typeof commands, code: number, says: RegExp]>([
    ['show good', 0, /^EQUAL: None of 990,000 compared reads/],
    ['show no report', 2, /other\.json: it is of schema "sarif\/2", not a report/],
    ['gate green', 0, /^GREEN: every gate holds/],
    ['gate unknown', 4, /^UNKNOWN: \d+ of \d+ gates do not hold/],
    ['diff worse', 1, /^WORSE: \d+ of \d+ metrics regressed/],
    ['diff other', 3, /^NOT COMPARABLE/],
    ['diff few', 4, /^UNKNOWN: too little data/],
  ])('%s exits with %i', (name, code, says) => {
    const { code: exited, out, err } = ran.get(name) ?? { code: -1, out: '', err: '' };
    expect([exited, code === 2 ? err : out]).toEqual([code, expect.stringMatching(says)]);
    expect(code === 2 ? out : err).toBe('');
  });

  test('an old or a future report does not pass a gate, however good it is', () => {
    const { code, out } = ran.get('gate old') ?? { code: 0, out: '' };
    expect(code === 1 || code === 4).toBe(true);
    expect(out).toMatch(/(?:RED|UNKNOWN) +age /);
  });

  test.each(['gate.xml', 'diff.xml'])('%s is well-formed, and counts its cases', async (name) => {
    const elements = elementsOf(await readFile(join(directory, name), 'utf8'));
    const [suites, suite] = elements;
    expect([suites?.name, suite?.name]).toEqual(['testsuites', 'testsuite']);
    const many = (of: string): number => elements.filter((element) => element.name === of).length;
    for (const [attribute, of] of [
      ['tests', 'testcase'],
      ['failures', 'failure'],
      ['errors', 'error'],
      ['skipped', 'skipped'],
    ] as const) {
      expect([attribute, suites?.attributes.get(attribute)]).toEqual([attribute, String(many(of))]);
    }
    expect(many('failure') + many('error')).toBeGreaterThan(0);
  });

  test('names of runs stand in JUnit as they are', async () => {
    const elements = elementsOf(await readFile(join(directory, 'diff.xml'), 'utf8'));
    expect(elements[1]?.attributes.get('name')).toBe(`report diff good bad <&"'>`);
  });
});

interface Element {
  readonly name: string;
  readonly attributes: ReadonlyMap<string, string>;
}

/** Strict about what it reads: whatever is no element, no quoted attribute or left open, throws. */
function elementsOf(xml: string): readonly Element[] {
  const elements: Element[] = [];
  const open: string[] = [];
  const body = xml.replace(/^<\?xml version="1\.0" encoding="UTF-8"\?>\n/, '');
  for (const [token, closing, name, attributes, isEmpty, text] of tokens(body)) {
    if (text !== undefined) {
      if (text.trim() !== '') throw new Error(`text: ${text}`);
    } else if (name === undefined) {
      throw new Error(`not XML: ${token}`);
    } else if (closing === '/') {
      if (open.pop() !== name) throw new Error(`closes another one: ${token}`);
    } else {
      if (isEmpty !== '/') open.push(name);
      const pairs = [...(attributes ?? '').matchAll(/ ([a-z]+)="([^"<]*)"/g)];
      elements.push({
        name,
        attributes: new Map(pairs.map((pair) => [pair[1] ?? '', unescaped(pair[2] ?? '')])),
      });
    }
  }
  if (open.length > 0) throw new Error(`left open: ${open.join(' ')}`);
  return elements;
}

function tokens(body: string): readonly (readonly (string | undefined)[])[] {
  const found = [...body.matchAll(/<(\/?)([a-z]+)((?: [a-z]+="[^"<]*")*)(\/?)>|([^<]+)/gy)];
  const length = found.reduce((sum, token) => sum + token[0].length, 0);
  if (length !== body.length) throw new Error(`not XML: ${body.slice(length, length + 80)}`);
  return found;
}

function unescaped(text: string): string {
  if (/&(?!(?:amp|lt|gt|quot);)/.test(text)) throw new Error(`a bare &: ${text}`);
  const signs: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"' };
  return text.replace(/&(\w+);/g, (_, name: string) => signs[name] ?? '');
}
