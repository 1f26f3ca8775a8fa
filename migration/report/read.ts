import { z } from 'zod';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { reportModel, reportSchemaName, type Report } from './model.ts';
import { thresholdsModel, thresholdsSchemaName, type Thresholds } from './thresholds.ts';

/** Longer files are no reports. */
export const reportLengthMax = 256 * 1024 * 1024;

/**
 * Reads the text of a report: those of shadow reads and those of `migrate compare`. What a later minor added is passed
 * over. The error is one line that says what it is instead.
 */
export function parseReport(text: string): Result<Report, string> {
  const json = parseJson(text);
  if (!json.ok) return json;
  const schema = schemaOf(json.value);
  if (schema === undefined) return err('it is JSON, but no report: it has no `schema`');
  if (schema !== reportSchemaName) {
    const [name, major] = schema.split('/');
    if (name === 'readconsistency' && Number(major) > 1)
      return err(`it is of schema ${schema}, later than ${reportSchemaName}: read it with a newer grapevine`);
    return err(`it is of schema ${JSON.stringify(schema.slice(0, 60))}, not a report (${reportSchemaName})`);
  }
  const parsed = reportModel.safeParse(json.value);
  if (!parsed.success) return err(`it says ${reportSchemaName} but is not: ${problemOf(parsed.error)}`);
  const wrong = contradictionOf(parsed.data);
  return wrong === undefined ? ok(parsed.data) : err(`its numbers contradict each other: ${wrong}`);
}

export function parseThresholds(text: string): Result<Thresholds, string> {
  const json = parseJson(text);
  if (!json.ok) return json;
  const schema = schemaOf(json.value);
  if (schema !== undefined && schema !== thresholdsSchemaName)
    return err(`it is of schema ${JSON.stringify(schema.slice(0, 60))}, not ${thresholdsSchemaName}`);
  const parsed = thresholdsModel.safeParse(json.value);
  return parsed.success ? ok(parsed.data) : err(problemOf(parsed.error));
}

function parseJson(text: string): Result<unknown, string> {
  if (text.trim() === '') return err('it is empty');
  try {
    return ok(JSON.parse(text));
  } catch (error) {
    const cut = !/[}\]]\s*$/.test(text) ? ' (cut short?)' : '';
    return err(`it is not JSON${cut}: ${error instanceof Error ? error.message : String(error)}`);
  }
}

function schemaOf(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || !('schema' in value)) return undefined;
  return typeof value.schema === 'string' ? value.schema : undefined;
}

function problemOf(error: z.ZodError): string {
  const shown = error.issues.slice(0, 3).map((issue) => {
    const path = issue.path.map(String).join('.');
    return path === '' ? issue.message : `${path}: ${issue.message}`;
  });
  const more = error.issues.length > 3 ? `; and ${error.issues.length - 3} more` : '';
  return shown.join('; ') + more;
}

/** Sums that a writer cannot get wrong, and an editor easily does. */
function contradictionOf(report: Report): string | undefined {
  const { totals, histograms, run } = report;
  const parts =
    totals.matched +
    totals.transient +
    totals.persistent +
    totals.indeterminate +
    totals.unchecked +
    (totals.ignored ?? 0) +
    (totals.open ?? 0);
  if (parts !== totals.compared) return `totals.compared is ${totals.compared}, its parts add up to ${parts}`;
  if (report.verdict.result === 'equal' && totals.persistent > 0)
    return `the verdict is equal, and ${totals.persistent} differ`;
  if (totals.rate.of !== undefined && totals.rate.of !== totals.compared)
    return `totals.rate is of ${totals.rate.of}, totals.compared is ${totals.compared}`;
  if (Date.parse(run.finishedAt) < Date.parse(run.startedAt)) return 'it ended before it began';
  for (const [name, each] of Object.entries({
    'latency.source': histograms?.latency.source,
    'latency.target': histograms?.latency.target,
    'staleness.low': histograms?.staleness.low,
    'staleness.high': histograms?.staleness.high,
  })) {
    if (each === undefined) continue;
    const held = each.buckets.reduce((sum, [, many]) => sum + many, each.zero);
    if (held !== each.count) return `histograms.${name} counts ${each.count}, its buckets hold ${held}`;
  }
  return undefined;
}
