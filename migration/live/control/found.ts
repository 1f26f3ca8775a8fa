import { sourceIdentity } from '../../source/identity.ts';
import type { MigrationKind } from '../../../src/state/migration.ts';
import type { SourceSettings } from '../gateway-port.ts';
import type { LivePart, PartContext } from '../ports.ts';
import { readerOver } from '../reverse/source-io.ts';
import { ruleAt } from './phases.ts';

const againMs = 2000;
const everyMs = 15_000;

/**
 * Writes the first rules of a fleet that was given a source: everything passthrough, and who the source is. Done by
 * the runner, once; later it looks whether the source is still the one that the fleet agreed on.
 */
export function foundMigration(context: PartContext): LivePart {
  const { gateway, phases, settings, runner } = context;
  const abort = new AbortController();
  let running: Promise<void> | undefined;
  let problem: string | undefined;
  let seenId: string | undefined;

  const round = async (source: SourceSettings): Promise<void> => {
    const id = settings.sourceId ?? (await identityOf(context, source));
    seenId = id;
    const agreed = phases.source;
    if (agreed === undefined) {
      await mustDo(context, { kind: 'migration-source', source: { id, timeline: 0 } });
    } else if (agreed.id !== id) {
      throw new Error(
        `the source here is ${id}, and this fleet migrates from ${agreed.id}: name the right one in migration.source, ` +
          'or carry its identity on with migration.source_id if only servers were replaced',
      );
    }
    for (const kind of ['kv', 'catalog'] as const) {
      if ((ruleAt(phases, kind, '')?.step ?? 0) > 0) continue;
      // oxlint-disable-next-line no-await-in-loop -- two
      await firstRule(context, kind);
    }
  };

  const loop = async (source: SourceSettings): Promise<void> => {
    while (!abort.signal.aborted) {
      try {
        // oxlint-disable-next-line no-await-in-loop -- one look after the other
        if (runner.isHere) await round(source);
        problem = undefined;
      } catch (error) {
        const text = error instanceof Error ? error.message : String(error);
        if (text !== problem && !abort.signal.aborted)
          gateway.log.warn({ problem: text }, 'the source of the migration');
        problem = text;
      }
      const founded = phases.source !== undefined && problem === undefined;
      // oxlint-disable-next-line no-await-in-loop -- one look after the other
      await gateway.clock.sleep(founded ? everyMs : againMs, abort.signal);
    }
  };

  return {
    start: () => {
      if (settings.source !== undefined) running = loop(settings.source);
    },
    stop: async () => {
      abort.abort();
      await running;
    },
    status: () => ({ seenId: seenId ?? null, problem: problem ?? null }),
  };
}

async function identityOf({ client }: PartContext, source: SourceSettings): Promise<string> {
  if (client === undefined) throw new Error('no source is configured');
  const reader = readerOver(client, source.token, source.addresses[0] ?? '');
  return sourceIdentity(reader, await reader.self());
}

async function firstRule(context: PartContext, of: MigrationKind): Promise<void> {
  await mustDo(context, {
    ...{ kind: 'migration-step', of, prefix: '', phase: 'passthrough', expectStep: 0 },
    ...{ reason: 'the first start with a source', overridden: [], fences: [] },
  });
}

async function mustDo(
  { gateway }: PartContext,
  command: Parameters<PartContext['gateway']['propose']>[0],
): Promise<void> {
  const outcome = await gateway.propose(command);
  if (outcome.kind === 'refused') throw new Error(outcome.message);
  if (outcome.kind === 'not-owned') throw new Error('the owner of the root zone cannot be reached');
}
