import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { AgentProcess } from '../support/agent-process.ts';
import { startGateway } from '../support/gateway-process.ts';
import { describeRealConsul, startRealConsul } from '../support/real-consul.ts';
import { action, stepsOf } from './generated.ts';
import { problemsOf, sideOf, startAll } from './harness.ts';
import { untilSettled } from '../support/until-settled.ts';
import type { Side } from './run-scenario.ts';

// GRAPEVINE_CONFORMANCE_RUNS asks for more; GRAPEVINE_CONFORMANCE_SEED repeats a run that failed elsewhere.
const runs = Number(process.env['GRAPEVINE_CONFORMANCE_RUNS'] ?? 200);
const seed = process.env['GRAPEVINE_CONFORMANCE_SEED'];
const runMsMax = 50_000 * Math.max(1, runs / 200);

describeRealConsul('generated sequences of requests', () => {
  const agents: AgentProcess[] = [];
  let sides: readonly Side[];

  beforeAll(async () => {
    const config = { node_name: 'agent-one' };
    const starts = [startRealConsul, startRealConsul, startGateway].map((start) => () => start({ config }));
    sides = (await startAll(agents, starts)).map((agent) => sideOf(agent.nodeName, agent));
    await Promise.all(agents.map(untilSettled));
  }, 90_000);

  afterAll(() => Promise.all(agents.map((agent) => agent.stop())), 60_000);

  test(
    'are answered alike by two real Consuls',
    async () => {
      expect(await failure(0, 1, Math.ceil(runs / 4))).toBeUndefined();
    },
    runMsMax + 30_000,
  );

  test(
    'are answered by a gateway as by a real Consul',
    async () => {
      expect(await failure(0, 2, runs)).toBeUndefined();
    },
    runMsMax + 30_000,
  );

  let run = 0;
  /** What fast-check reports: seed, path, and the shortest sequence that is answered differently. */
  async function failure(one: number, other: number, numRuns: number): Promise<string | undefined> {
    const [real, against] = [sides[one], sides[other]];
    if (real === undefined || against === undefined) throw new Error('no such side');
    const sequences = fc.array(action, { minLength: 1, maxLength: 25, size: 'max' });
    const answeredAlike = fc.asyncProperty(sequences, async (actions) => {
      run += 1;
      const scenario = { title: 'generated', steps: stepsOf(`run${run}`, actions) };
      const problems = await problemsOf(scenario, [real, against], other === 2);
      if (problems.length > 0) throw new Error(problems.join('\n'));
    });
    const details = await fc.check(answeredAlike, {
      numRuns,
      ...(seed === undefined ? {} : { seed: Number(seed) }),
      interruptAfterTimeLimit: runMsMax,
      markInterruptAsFailure: false,
    });
    return details.failed
      ? `${fc.defaultReportMessage(details)}\n${(details.errorInstance as Error).message}`
      : undefined;
  }
});
