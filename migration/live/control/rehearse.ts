import { encodeKeyPath } from '../../mirror/key-rules.ts';
import { authorityOf, type Phase } from '../../../src/state/migration.ts';
import type { ConsulReader } from '../../source/consul-reader.ts';
import type { PartContext, TailControl } from '../ports.ts';
import type { StepOrder } from './order-forms.ts';
import { ruleAt } from './phases.ts';
import { rehearsalPrefix, type Rehearsals } from './rehearsals.ts';
import type { Stepper, StepResult } from './stepper.ts';
import { verifyKv } from './verify.ts';

export interface RehearsalReport {
  readonly ok: boolean;
  readonly text: string;
  readonly steps: readonly { readonly what: string; readonly tookMs: number }[];
}

const keysCount = 40;
const mirrorMs = 30_000;
const forgetMs = 5000;

/** Walks a prefix of its own the whole way to a cutover and back, with the same code, and looks at both ends. */
export async function rehearse(
  context: PartContext,
  parts: {
    readonly stepper: Stepper;
    readonly rehearsals: Rehearsals;
    readonly tail: TailControl | undefined;
    readonly reader: ConsulReader;
  },
): Promise<RehearsalReport> {
  const { gateway, phases, client, settings } = context;
  const { stepper, rehearsals, reader } = parts;
  const steps: { what: string; tookMs: number }[] = [];
  const token = settings.source?.token ?? '';
  let term = 0;

  const timed = async (what: string, work: () => Promise<void>): Promise<void> => {
    const startMs = gateway.monoMs();
    await work().catch((error: unknown) => {
      throw new Error(`${what}: ${error instanceof Error ? error.message : String(error)}`);
    });
    steps.push({ what, tookMs: Math.round(gateway.monoMs() - startMs) });
  };
  const ask = async (method: 'PUT' | 'DELETE', key: string, body?: string): Promise<void> => {
    if (client === undefined) throw new Error('this gateway has no source');
    const recurse = method === 'DELETE' && key.endsWith('/') ? '?recurse' : '';
    const path = `/v1/kv/${encodeKeyPath(key)}${recurse}`;
    const answer = await client.ask({ method, path, token, ...(body === undefined ? {} : { body }) });
    if (answer.kind !== 'answer') throw new Error(answer.why);
    if (answer.status !== 200) throw new Error(`${answer.status} ${answer.body.toString().slice(0, 200)}`);
  };
  const putHere = async (key: string, value: string): Promise<void> => {
    const outcome = await gateway.propose({
      ...{ kind: 'kv-put', key, value: Buffer.from(value), flags: 0n, mode: { kind: 'plain' } },
    });
    if (outcome.kind !== 'kv') throw new Error('message' in outcome ? outcome.message : outcome.kind);
  };
  /** Without a rule of its own the prefix is in the phase of the rule around it. */
  const phaseNow = (): Phase => phases.ofKey(rehearsalPrefix)?.phase ?? 'passthrough';
  const to = (phase: Phase): Promise<void> =>
    timed(phase, async () => {
      const order: StepOrder = {
        ...{ prefix: rehearsalPrefix, phase, kind: 'kv', dryRun: false, reason: 'rehearsal' },
        ...{ override: false, without: [] },
      };
      const result = await retried(() =>
        stepper.step(order, {
          passedOver: ({ name }) => !name.startsWith('gateways-') && !name.startsWith('source-'),
        }),
      );
      if ('refused' in result) throw new Error(result.refused);
      if (result.result !== 'done') throw new Error(result.message);
      term = Math.max(term, result.rule?.term ?? 0);
    });
  /** A gate may be red for a moment: the copying of a prefix that is new has to begin first. */
  const retried = async (work: () => Promise<StepResult>): Promise<StepResult> => {
    for (let attempt = 0; ; attempt += 1) {
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      const result = await work();
      if (
        'refused' in result ||
        (result.result !== 'blocked' && result.result !== 'called-off') ||
        attempt >= 5
      )
        return result;
      // oxlint-disable-next-line no-await-in-loop -- one attempt after the other
      await gateway.clock.sleep(500);
    }
  };
  const equal = (what: string, expected: number): Promise<void> =>
    timed(what, async () => {
      const dueMs = gateway.monoMs() + mirrorMs;
      for (;;) {
        // oxlint-disable-next-line no-await-in-loop -- until it is so
        const found = await verifyKv(
          reader,
          gateway.view,
          { ...gateway.clock, sleep: () => Promise.resolve() },
          rehearsalPrefix,
        );
        if (found.equal === found.compared && found.compared === expected) return;
        if (gateway.monoMs() > dueMs) {
          throw new Error(
            `${found.compared - found.equal} of ${found.compared} keys differ, and ${expected} were expected`,
          );
        }
        // oxlint-disable-next-line no-await-in-loop -- until it is so
        await gateway.clock.sleep(100);
      }
    });

  /** Its rule goes, as it came. It stays, in passthrough, where the rule around it is in another phase: see status. */
  const forget = async (): Promise<void> => {
    const expectStep = ruleAt(phases, 'kv', rehearsalPrefix)?.step ?? 0;
    await gateway.propose({ kind: 'migration-forget', of: 'kv', prefix: rehearsalPrefix, expectStep });
    const heads = [gateway.ownHead()];
    const others = gateway.gateways().filter(({ alive, nodeId }) => alive && nodeId !== gateway.nodeId);
    const told = others.map(({ nodeName }) =>
      // One that has not heard of it would take the next rehearsal's first step for one that it acts on already.
      gateway.call(nodeName, 'heads', { heads, waitMs: forgetMs }, forgetMs).catch(() => undefined),
    );
    await Promise.all(told);
  };

  try {
    if (authorityOf(phaseNow()) === 'here') {
      if (phaseNow() === 'final') await to('cutover');
      await to('local-reads');
    }
    if (phaseNow() !== 'passthrough') await to('passthrough');
    await timed('keys at the source', async () => {
      await ask('DELETE', rehearsalPrefix);
      for (let i = 0; i < keysCount; i += 1) {
        // oxlint-disable-next-line no-await-in-loop -- a few
        await ask('PUT', `${rehearsalPrefix}${i % 4}/${i}`, `before ${i}`);
      }
    });
    await to('mirror');
    await equal('everything is here', keysCount);
    await to('dual');
    await to('shadow');
    await to('local-reads');
    await to('cutover');
    await equal('nothing changed with the cutover', keysCount);
    await timed('writes here', async () => {
      await putHere(`${rehearsalPrefix}0/0`, 'changed here');
      await putHere(`${rehearsalPrefix}new`, 'made here');
      const outcome = await gateway.propose({ kind: 'kv-delete', key: `${rehearsalPrefix}1/1` });
      if (outcome.kind !== 'kv') throw new Error('message' in outcome ? outcome.message : outcome.kind);
    });
    await equal('the source has them', keysCount);
    await to('local-reads');
    await equal('nothing changed with the way back', keysCount);
    await timed('a write at the source', () => ask('PUT', `${rehearsalPrefix}0/0`, 'changed at the source'));
    await equal('it is here', keysCount);
    await timed('the keys are removed', () => ask('DELETE', rehearsalPrefix));
    await equal('they are gone here', 0);
    await to('passthrough');
    await forget();
    const text = 'a cutover and the way back were walked, and both sides were the same at both ends';
    await rehearsals.keep({ atMs: gateway.clock.now(), ok: true, term, text });
    context.evidence.mark('rehearsal', 'a cutover and the way back: went well');
    return { ok: true, text, steps };
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    await rehearsals.keep({ atMs: gateway.clock.now(), ok: false, term, text });
    context.evidence.mark('rehearsal', `failed: ${text}`);
    return { ok: false, text, steps };
  }
}
