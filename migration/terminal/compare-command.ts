import { randomUUID } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { perRunRedaction, type Redaction } from '../compare/redaction.ts';
import { buildReport, type Report } from '../compare/report.ts';
import { Sweep } from '../compare/sweep.ts';
import { writeReport } from '../compare/write-report.ts';
import { ConnectionError } from '../source/connection.ts';
import { HttpConsulReader } from '../source/http-consul-reader.ts';
import { compareText } from './compare-text.ts';
import { count, shellWord } from './format.ts';
import type { ExitCode, Host } from './host.ts';
import { openSides, parseDelays, readSettings, type CommonFlags } from './settings.ts';

export type CompareFlags = CommonFlags & {
  readonly out?: string;
  readonly recheck?: string;
  readonly reveal?: boolean;
  readonly secretFile?: string;
  readonly json?: boolean;
};

export async function compareCommand(flags: CompareFlags, host: Host): Promise<ExitCode> {
  const settings = readSettings(flags, host.env);
  const delays = parseDelays(flags.recheck ?? '1s,5s,30s');
  if (!settings.ok || !delays.ok) {
    host.complain(settings.ok ? (delays.ok ? '' : delays.error) : settings.error);
    return 2;
  }
  const retries = { source: 0, target: 0 };
  const sides = openSides(settings.value, host.clock, host.signal, (side, text) => {
    retries[side] += 1;
    host.progress.line(text);
  });
  const out = flags.out ?? './report.json';
  try {
    const redaction = redactionOf(flags);
    const [source, target] = [new HttpConsulReader(sides.source), new HttpConsulReader(sides.target)];
    const [sourceSelf, targetSelf] = await Promise.all([source.self(), target.self()]);
    const startedAtMs = host.clock.now();
    const { prefixes, kv, catalog } = settings.value;
    const sweep = new Sweep({
      source,
      target,
      targetSelf,
      prefixes,
      kv,
      catalog,
      recheckDelaysMs: delays.value,
      reveal: redaction.mode === 'revealed',
      clock: host.clock,
      signal: host.signal,
      onProgress: ({ phase, done, total, differing }) => {
        const detail = differing === 0 ? '' : `${count(differing)} to look at again`;
        host.progress.step({ phase: phase === 'recheck' ? 'again' : 'compared', done, total, detail });
      },
    });
    const result = await sweep.run();
    const report = buildReport({
      id: randomUUID(),
      startedAtMs,
      finishedAtMs: host.clock.now(),
      toolVersion: host.version,
      source: { address: source.address, self: sourceSelf },
      target: { address: target.address, self: targetSelf },
      prefixes,
      kv,
      catalog,
      recheckDelaysMs: delays.value,
      redaction,
      retries,
      result,
    });
    await writeReport(out, report);
    host.progress.end();
    const next = nextCommand(report, settings.value.from, settings.value.to);
    host.print(flags.json === true ? JSON.stringify(report, null, 2) : compareText(report, out, next));
    return report.verdict.result === 'equal' ? 0 : 1;
  } catch (error) {
    host.progress.end();
    if (error instanceof ConnectionError && error.kind === 'aborted') {
      host.complain('Interrupted: no report was written, because half a comparison says nothing.');
      return 130;
    }
    host.complain(error instanceof Error ? error.message : String(error));
    return 2;
  } finally {
    sides.close();
  }
}

function redactionOf(flags: CompareFlags): Redaction {
  const mode = flags.reveal === true ? 'revealed' : 'redacted';
  if (flags.secretFile === undefined) return perRunRedaction(mode);
  return { mode, secretName: basename(flags.secretFile), secret: readFileSync(flags.secretFile) };
}

function nextCommand(report: Report, from: string, to: string): string {
  const sides = `-from=${shellWord(from)} -to=${shellWord(to)}`;
  const { totals, verdict } = report;
  if (verdict.result === 'equal')
    return 'point clients at the gateway, and compare again while the source still changes';
  if (verdict.result === 'unknown')
    return `grapevine migrate compare ${sides}   (with a token that sees all, or when less changes)`;
  if (totals.byKind.session === totals.persistent)
    return 'release these locks at the source, then copy and compare again';
  if (totals.byKind.extra === totals.persistent)
    return `grapevine migrate compare ${sides} -reveal   (shows what only the gateway has)`;
  return `grapevine migrate copy ${sides}   then compare again`;
}
