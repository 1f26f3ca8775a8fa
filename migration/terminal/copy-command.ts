import { createWriteStream } from 'node:fs';
import { copyFromConsul } from '../copy/copy.ts';
import type { DeleteQuestion } from '../copy/copy-run.ts';
import type { Notice } from '../copy/notices.ts';
import { ConnectionError } from '../source/connection.ts';
import { HttpConsulReader } from '../source/http-consul-reader.ts';
import { sourceIdentity } from '../source/identity.ts';
import { HttpTarget } from '../target/http-target.ts';
import { copyText, needsDecision } from './copy-text.ts';
import { bytes, count, shellWord, shownKey } from './format.ts';
import type { ExitCode, Host } from './host.ts';
import { openSides, readSettings, type CommonFlags } from './settings.ts';

export type CopyFlags = CommonFlags & {
  readonly dryRun?: boolean;
  readonly allowDeletes?: boolean;
  readonly startOver?: boolean;
  readonly sourceId?: string;
  readonly list?: string;
  readonly json?: boolean;
};

export async function copyCommand(flags: CopyFlags, host: Host): Promise<ExitCode> {
  const settings = readSettings(flags, host.env);
  if (!settings.ok) {
    host.complain(settings.error);
    return 2;
  }
  const sides = openSides(settings.value, host.clock, host.signal, (_side, text) => host.progress.line(text));
  const list = flags.list === undefined ? null : createWriteStream(flags.list, { flags: 'a' });
  list?.on('error', (error) => host.complain(`-list: ${error.message}`));
  const again = ['grapevine', ...host.args].map(shellWord).join(' ');
  try {
    const source = new HttpConsulReader(sides.source);
    const target = new HttpTarget(sides.target);
    const sourceSelf = await source.self();
    const sourceId = flags.sourceId ?? (await sourceIdentity(source, sourceSelf));
    const confirm = host.confirm;
    const summary = await copyFromConsul({
      source,
      target,
      sourceId,
      sourceSelf,
      tokenGiven: settings.value.sourceToken !== '',
      prefixes: settings.value.prefixes,
      kv: settings.value.kv,
      catalog: settings.value.catalog,
      dryRun: flags.dryRun === true,
      allowDeletes: flags.allowDeletes === true,
      startOver: flags.startOver === true,
      clock: host.clock,
      signal: host.signal,
      onNotice: (notice: Notice) => list?.write(`${JSON.stringify(notice)}\n`),
      onProgress: ({ phase, done, total, bytes: read }) =>
        host.progress.step({ phase: phase === 'kv' ? 'keys' : 'nodes', done, total, detail: bytes(read) }),
      ...(confirm === undefined
        ? {}
        : {
            askDeletes: (question: DeleteQuestion) => {
              host.progress.end();
              return confirm(deleteQuestion(question));
            },
          }),
    });
    host.progress.end();
    host.print(flags.json === true ? JSON.stringify(summary, null, 2) : copyText(summary, settings.value));
    if (summary.end === 'interrupted') {
      host.complain(`Interrupted. To go on from here: ${again}`);
      return 130;
    }
    if (flags.json !== true)
      host.print(nextStep(flags, settings.value.from, settings.value.to, needsDecision(summary)));
    return needsDecision(summary) ? 1 : 0;
  } catch (error) {
    host.progress.end();
    if (error instanceof ConnectionError && error.kind === 'aborted') {
      host.complain(`Interrupted. To go on from here: ${again}`);
      return 130;
    }
    host.complain(error instanceof Error ? error.message : String(error));
    host.complain(
      `Whatever was copied before this stays. When that is mended, run it again and it goes on from there: ${again}`,
    );
    return 2;
  } finally {
    await new Promise<void>((resolve) => (list === null ? resolve() : list.end(resolve)));
    sides.close();
  }
}

function deleteQuestion(question: DeleteQuestion): string {
  const examples = question.examples.map(shownKey).join(', ');
  const where = question.where === '' ? 'the whole key space' : shownKey(question.where);
  return (
    `The source no longer has ${count(question.deletes)} of the ${count(question.live)} entries held under ${where} ` +
    `(${examples}, …). Delete them here too?`
  );
}

function nextStep(flags: CopyFlags, from: string, to: string, undecided: boolean): string {
  const sides = `-from=${shellWord(from)} -to=${shellWord(to)}`;
  if (flags.dryRun === true) return `Next: the same command without -dry-run.`;
  if (undecided)
    return 'Next: decide on what was withheld or refused above, then run the same command again.';
  return `Next: grapevine migrate compare ${sides}`;
}
