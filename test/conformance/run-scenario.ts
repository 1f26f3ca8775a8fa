import { isLosslessNumber, parse } from 'lossless-json';
import { valueAt } from './compare.ts';
import { type Answer, exchange, headerOf } from './exchange.ts';
import {
  type BlockStep,
  type Expected,
  type Outcome,
  type RequestStep,
  type Scenario,
  type Step,
  substitute,
} from './scenario.ts';

/** An agent that scenarios run against. */
export interface Side {
  readonly name: string;
  readonly url: string;
  /** As text -> what the port is for. */
  readonly ports: ReadonlyMap<string, string>;
}

/** What one step got. */
export interface StepResult {
  readonly step: RequestStep | BlockStep;
  /** `2: PUT /v1/kv/a`. */
  readonly where: string;
  readonly answer: Answer;
  /** Of a blocking query: whether it used its whole time. */
  readonly outcome: Outcome;
}

/** An index that is above all that was there, and below all that is to come. */
export async function indexBefore(side: Side): Promise<bigint> {
  const path = '/v1/kv/before-this-scenario';
  await exchange(side.url, { method: 'PUT', path, body: '' });
  await exchange(side.url, { method: 'DELETE', path });
  return BigInt(headerOf(await exchange(side.url, { method: 'GET', path }), 'X-Consul-Index') ?? '1');
}

const untilMsMax = 15_000;

/** Runs the steps in order; results come in the order of the steps, nested ones before the step around them. */
export async function runScenario(side: Side, steps: Scenario['steps']): Promise<StepResult[]> {
  const results: StepResult[] = [];
  await runSteps(side, steps, new Map([['self', new URL(side.url).host]]), results);
  return results;
}

async function runSteps(
  side: Side,
  steps: readonly Step[],
  captured: Map<string, string>,
  results: StepResult[],
): Promise<void> {
  for (const step of steps) {
    switch (step.kind) {
      case 'pause':
        await new Promise((resolve) => setTimeout(resolve, step.ms));
        break;
      case 'request': {
        const answer = await ask(side, step, captured);
        results.push({
          step,
          where: `${results.length + 1}: ${step.method} ${step.path}`,
          answer,
          outcome: 'answered',
        });
        capture(step, answer, captured);
        break;
      }
      case 'block': {
        const started = performance.now();
        const path = `${step.path}${step.path.includes('?') ? '&' : '?'}wait=${step.waitMs}ms`;
        const waiting = ask(side, { ...step, kind: 'request', method: 'GET', path }, captured).then(
          (answer) => ({
            answer,
            tookMs: performance.now() - started,
          }),
        );
        // Marked as handled: a failure in `during` must not leave this one unobserved.
        waiting.catch(() => {});
        await runSteps(side, step.during, captured, results);
        const { answer, tookMs } = await waiting;
        const outcome = tookMs < step.waitMs ? 'answered' : 'timed out';
        results.push({ step, where: `${results.length + 1}: waiting GET ${step.path}`, answer, outcome });
        capture(step, answer, captured);
        break;
      }
    }
  }
}

async function ask(side: Side, step: RequestStep, captured: ReadonlyMap<string, string>): Promise<Answer> {
  const sent = {
    method: step.method,
    path: substitute(step.path, captured),
    headers: Object.fromEntries(
      Object.entries(step.headers ?? {}).map(([name, value]) => [name, substitute(value, captured)]),
    ),
    ...(step.body === undefined
      ? {}
      : { body: typeof step.body === 'string' ? substitute(step.body, captured) : step.body }),
    ...(step.chunked === undefined ? {} : { chunked: step.chunked }),
    ...(step.stream === undefined ? {} : { stream: step.stream }),
  };
  const deadline = performance.now() + untilMsMax;
  for (;;) {
    const answer = await exchange(side.url, sent);
    if (step.until === undefined || contains(answer.body.toString('utf8'), step.until)) return answer;
    if (performance.now() > deadline) {
      throw new Error(
        `${side.name}: ${sent.path} never had ${String(step.until)}: ${answer.status} ${answer.body}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 40));
  }
}

function capture(step: RequestStep | BlockStep, answer: Answer, captured: Map<string, string>): void {
  for (const [name, from] of Object.entries(step.capture ?? {})) {
    const value =
      (from.startsWith('header ') ? headerOf(answer, from.slice(7)) : select(answer, from)) ??
      step.captureElse;
    if (value === undefined) throw new Error(`nothing at ${from} in ${answer.status} ${answer.body}`);
    captured.set(name, value);
  }
}

function select(answer: Answer, path: string): string | undefined {
  if (answer.body.length === 0) return undefined;
  const value = valueAt(parse(answer.body.toString('utf8')), path);
  if (isLosslessNumber(value)) return value.value;
  return typeof value === 'string' || typeof value === 'boolean' ? String(value) : undefined;
}

/** What an answer lacks of what was expected of it. */
export function unmet({ answer, outcome }: StepResult, expected: Expected): string[] {
  const body = answer.body.toString('utf8');
  const missing: string[] = [];
  if (expected.outcome !== undefined && outcome !== expected.outcome) {
    missing.push(`${expected.outcome}, not ${outcome}`);
  }
  if (expected.status !== undefined && answer.status !== expected.status) {
    missing.push(`status ${expected.status}, not ${answer.status} (${body.slice(0, 300)})`);
  }
  if (expected.body !== undefined && !contains(body, expected.body)) {
    missing.push(`body ${String(expected.body) || '(empty)'}, not ${body.slice(0, 600) || '(empty)'}`);
  }
  for (const [name, value] of Object.entries(expected.headers ?? {})) {
    const sent = headerOf(answer, name);
    if (value === null ? sent !== undefined : sent === undefined || !contains(sent, value)) {
      missing.push(`header ${name}: ${String(value)}, not ${sent}`);
    }
  }
  return missing;
}

function contains(text: string, part: string | RegExp): boolean {
  if (part instanceof RegExp) return part.test(text);
  return part === '' ? text === '' : text.includes(part);
}
