import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { untilSettled } from '../support/until-settled.ts';
import type { AgentProcess } from '../support/agent-process.ts';
import { startGateway } from '../support/gateway-process.ts';
import { describeRealConsul, startRealConsul } from '../support/real-consul.ts';
import { type Difference, compareAnswers } from './compare.ts';
import { Correspondence } from './correspondence.ts';
import { type Side, type StepResult, indexBefore, runScenario, unmet } from './run-scenario.ts';
import { type Declared, type Scenario, declaredOf } from './scenario.ts';

/** The scenarios of one part of the API. */
export interface Area {
  readonly name: string;
  readonly scenarios: readonly Scenario[];
  /** For the agents of both sides, above what all areas share. */
  readonly config?: object;
}

// One name on both sides, so that lists which are sorted by node name come in the same order.
const sharedConfig = {
  node_name: 'agent-one',
  enable_script_checks: true,
  telemetry: { prometheus_retention_time: '60s' },
};

/** Headers that a gateway sends and 1.8.7 does not, at all or in some places (known-differences.ts). */
const headersAdded = new Set(['X-Consul-Default-Acl-Policy']);

const startMsMax = 90_000;
const scenarioMsMax = 120_000;

/** Tests that a gateway answers every scenario as a real Consul does, but for what is declared. */
export function compareWithConsul(...areas: readonly Area[]): void {
  for (const group of groupsOf(areas)) comparePair('a gateway answers as Consul does', group, startGateway);
}

/** Tests the scenarios and the comparison themselves: two real Consuls must not differ in anything. */
export function compareConsulWithItself(...areas: readonly Area[]): void {
  for (const group of groupsOf(areas)) comparePair('two real Consuls answer alike', group, startRealConsul);
}

/** Areas that share a pair of agents: starting one takes longer than most areas do. */
function groupsOf(areas: readonly Area[]): readonly (readonly Area[])[] {
  const byConfig = new Map<string, Area[]>();
  for (const area of areas.toSorted((a, b) => Number(needsUntouched(b)) - Number(needsUntouched(a)))) {
    const config = JSON.stringify(area.config);
    const held = byConfig.get(config);
    if (held === undefined) byConfig.set(config, [area]);
    else held.push(area);
  }
  return [...byConfig.values()];
}

function needsUntouched({ scenarios }: Area): boolean {
  return scenarios.some(({ untouched }) => untouched === true);
}

function comparePair(
  title: string,
  areas: readonly Area[],
  startOther: (options: { config: object }) => Promise<AgentProcess>,
): void {
  const otherIsGateway = startOther === startGateway;
  describeRealConsul(title, () => {
    const agents: AgentProcess[] = [];
    let sides: readonly [Side, Side];

    beforeAll(async () => {
      const config = { ...sharedConfig, ...areas[0]?.config };
      const started = await startAll(agents, [
        () => startRealConsul({ config }),
        () => startOther({ config }),
      ]);
      await Promise.all(started.map(untilSettled));
      const [real, other] = started;
      if (real === undefined || other === undefined) throw new Error('two agents were to start');
      sides = [sideOf('Consul', real), sideOf(otherIsGateway ? 'gateway' : 'other Consul', other)];
    }, startMsMax);

    afterAll(() => Promise.all(agents.map((agent) => agent.stop())), startMsMax);

    describe.each(areas)('$name', ({ scenarios }) => {
      afterAll(() => Promise.all(sides.map(clean)));

      test.each(scenarios)(
        '$title',
        async (scenario) => {
          try {
            expect(await problemsOf(scenario, sides, otherIsGateway)).toEqual([]);
          } catch (error) {
            // A scenario that did not get to its end leaves things behind that the next ones would see.
            await Promise.all(sides.map(clean));
            throw error;
          }
        },
        scenarioMsMax,
      );
    });
  });
}

/** Starts agents at once; those that did are in `started` for the end of the test, even where others fail. */
export async function startAll(
  started: AgentProcess[],
  starts: readonly (() => Promise<AgentProcess>)[],
): Promise<AgentProcess[]> {
  return Promise.all(
    starts.map(async (start) => {
      const agent = await start();
      started.push(agent);
      return agent;
    }),
  );
}

/** Runs one scenario on both sides at once; says, in words, all that is not as it should be. */
export async function problemsOf(
  scenario: Scenario,
  sides: readonly [Side, Side],
  otherIsGateway: boolean,
): Promise<string[]> {
  const [a, b] = scenario.untouched
    ? [1n, 1n]
    : await Promise.all([indexBefore(sides[0]), indexBefore(sides[1])]);
  const [real, other] = await Promise.all([
    runScenario(sides[0], scenario.steps),
    runScenario(sides[1], scenario.steps),
  ]);
  const known = new Correspondence(sides[0].ports, sides[1].ports, { a, b });
  return real.flatMap((result, i) => {
    const against = other[i];
    if (against === undefined) return [`${result.where}: no such step on the other side`];
    const unexpected = unmet(result, result.step.expect ?? {}).map(
      (text) => `${result.where}: a real Consul was expected to answer ${text}`,
    );
    const differences = stepDifferences(result, against, known);
    const judged = otherIsGateway
      ? judge(differences, declaredOf(result.step), against, result.where)
      : differences.map((difference) => inWords(difference, result.where));
    return [...unexpected, ...judged];
  });
}

function stepDifferences(a: StepResult, b: StepResult, known: Correspondence): Difference[] {
  const found = compareAnswers(a.answer, b.answer, known, a.step, a.where);
  return a.outcome === b.outcome
    ? found
    : [{ at: 'outcome', detail: `${a.outcome} against ${b.outcome}` }, ...found];
}

function judge(
  differences: readonly Difference[],
  declared: readonly Declared[],
  gateway: StepResult,
  where: string,
): string[] {
  const undeclared = differences
    .filter(
      (difference) => !isHeaderAdded(difference) && !declared.some((entry) => covers(entry, difference)),
    )
    .map((difference) => inWords(difference, where));
  const gone = declared
    .filter((entry) => !differences.some((difference) => covers(entry, difference)))
    .map((entry) => `${where}: the known difference "${entry.id}" no longer occurs`);
  const otherwise = declared.flatMap((entry) =>
    unmet(gateway, entry.gateway ?? {}).map((text) => `${where}: "${entry.id}" promises ${text}`),
  );
  return [...undeclared, ...gone, ...otherwise];
}

function covers(entry: Declared, { at }: Difference): boolean {
  return entry.at.some((prefix) => at.startsWith(prefix));
}

function isHeaderAdded({ at, detail }: Difference): boolean {
  return at.startsWith('header ') && headersAdded.has(at.slice(7)) && detail.startsWith('absent against');
}

function inWords({ at, detail }: Difference, where: string): string {
  return `${where}: ${at}: ${detail}`;
}

/** Removes what scenarios left behind, for others that would see it. */
async function clean({ url }: Side): Promise<void> {
  const send = (method: string, path: string, body?: object): Promise<Response> =>
    fetch(url + path, { method, ...(body === undefined ? {} : { body: JSON.stringify(body) }) });
  const list = async (path: string): Promise<unknown> => (await send('GET', path)).json();
  for (const kind of ['service', 'check']) {
    for (const id of Object.keys((await list(`/v1/agent/${kind}s`)) as object)) {
      await send('PUT', `/v1/agent/${kind}/deregister/${encodeURIComponent(id)}`);
    }
  }
  for (const { ID } of (await list('/v1/session/list')) as { ID: string }[]) {
    await send('PUT', `/v1/session/destroy/${ID}`);
  }
  for (const { Node } of (await list('/v1/catalog/nodes')) as { Node: string }[]) {
    if (Node !== sharedConfig.node_name) await send('PUT', '/v1/catalog/deregister', { Node });
  }
  await send('DELETE', '/v1/kv/?recurse');
}

export function sideOf(name: string, agent: AgentProcess): Side {
  const ports = Object.entries(agent.ports).map(([use, port]) => [String(port), `the ${use} port`] as const);
  return { name, url: agent.url, ports: new Map(ports) };
}
