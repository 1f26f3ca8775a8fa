import { readFile, stat, writeFile } from 'node:fs/promises';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { compareReports } from './diff.ts';
import { evaluateGates, gatesState } from './gates.ts';
import { diffHtml } from './html/diff-html.ts';
import { reportHtml } from './html/report-html.ts';
import { comparisonJunit, gatesJunit } from './junit.ts';
import type { Report } from './model.ts';
import { parseReport, parseThresholds, reportLengthMax } from './read.ts';
import { comparisonText, gatesText, nextFor, reportText } from './report-text.ts';
import { samplesText } from './samples.ts';
import { defaultThresholds, type Thresholds } from './thresholds.ts';

// `grapevine report`: everything it needs is in the files, so it runs anywhere.

export type ReportExitCode = 0 | 1 | 2 | 3 | 4;

export type ReportHost = {
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
  readonly nowMs: () => number;
  readonly stdin: () => Promise<string>;
};

export type ShowFlags = { readonly json?: boolean; readonly samples?: string };
export type HtmlFlags = { readonly out?: string };
export type GateFlags = { readonly thresholds?: string; readonly junit?: string; readonly json?: boolean };
export type DiffFlags = GateFlags & { readonly force?: boolean; readonly html?: string };

export function showCommand(path: string, flags: ShowFlags, host: ReportHost): Promise<ReportExitCode> {
  return guarded(host, async () => {
    const report = await open(path, host);
    if (flags.samples !== undefined) await write(flags.samples, samplesText(report), report);
    host.print(
      flags.json === true ? JSON.stringify(report, null, 2) : reportText(report, nextFor(report, path)),
    );
    return 0;
  });
}

export function htmlCommand(path: string, flags: HtmlFlags, host: ReportHost): Promise<ReportExitCode> {
  return guarded(host, async () => {
    const report = await open(path, host);
    const out = flags.out ?? (path === '-' ? 'report.html' : `${path.replace(/\.json$/i, '')}.html`);
    await write(out, reportHtml(report), report);
    host.print(`${out} (open it in a browser; it needs nothing else)`);
    return 0;
  });
}

/** 0 all green, 1 red, 4 nothing red, and something unknown. */
export function gateCommand(path: string, flags: GateFlags, host: ReportHost): Promise<ReportExitCode> {
  return guarded(host, async () => {
    const [report, thresholds] = [await open(path, host), await thresholdsOf(flags)];
    const gates = evaluateGates(report, thresholds, host.nowMs());
    if (flags.junit !== undefined)
      await write(flags.junit, gatesJunit(gates, `report gate ${report.run.id}`), report);
    const state = gatesState(gates);
    host.print(flags.json === true ? JSON.stringify({ state, gates }, null, 2) : gatesText(gates));
    return state === 'green' ? 0 : state === 'red' ? 1 : 4;
  });
}

/** 0 no regression, 1 regression, 3 not comparable, 4 too little data. */
export function diffCommand(
  pathA: string,
  pathB: string,
  flags: DiffFlags,
  host: ReportHost,
): Promise<ReportExitCode> {
  return guarded(host, async () => {
    const [a, b] = [await open(pathA, host), await open(pathB, host)];
    const comparison = compareReports(a, b, await thresholdsOf(flags), { force: flags.force === true });
    const revealed = a.run.redaction.mode === 'revealed' ? a : b;
    if (flags.junit !== undefined) await write(flags.junit, comparisonJunit(comparison), revealed);
    if (flags.html !== undefined) await write(flags.html, diffHtml(comparison, a, b), revealed);
    host.print(flags.json === true ? JSON.stringify(comparison, null, 2) : comparisonText(comparison));
    return comparison.exitCode;
  });
}

class UnreadableError extends Error {}

/** What cannot be read or written is 2, with one line that says which file and why. */
async function guarded(host: ReportHost, command: () => Promise<ReportExitCode>): Promise<ReportExitCode> {
  try {
    return await command();
  } catch (error) {
    const isExpected = error instanceof UnreadableError || (error instanceof Error && 'code' in error);
    if (!isExpected) throw error;
    host.complain(error.message);
    return 2;
  }
}

async function open(path: string, host: ReportHost): Promise<Report> {
  return parsed(path === '-' ? 'standard input' : path, await textOf(path, host), parseReport);
}

async function thresholdsOf(flags: GateFlags): Promise<Thresholds> {
  if (flags.thresholds === undefined) return defaultThresholds;
  return parsed(flags.thresholds, await readFile(flags.thresholds, 'utf8'), parseThresholds);
}

async function textOf(path: string, host: ReportHost): Promise<string> {
  if (path === '-') return host.stdin();
  const { size } = await stat(path);
  const length = size <= reportLengthMax ? ok(size) : err(`it is ${size} bytes long, which no report is`);
  if (!length.ok) throw new UnreadableError(`${path}: ${length.error}`);
  return readFile(path, 'utf8');
}

function parsed<T>(path: string, text: string, parse: (text: string) => Result<T, string>): T {
  const result = parse(text);
  if (!result.ok) throw new UnreadableError(`${path}: ${result.error}`);
  return result.value;
}

/** What shows keys and values in clear is for its owner alone. */
async function write(path: string, text: string, of: Report): Promise<void> {
  await writeFile(path, text, { mode: of.run.redaction.mode === 'revealed' ? 0o600 : 0o644 });
}
