import { EventEmitter, once } from 'node:events';
import { describe, expect, test } from '@jest/globals';
import type { AliasView } from '../../../compat/checks/alias.ts';

import { type CheckDefinition, emptyCheck } from '../../../compat/checks/definition.ts';
import type { ProbeResult } from '../../../compat/checks/probe.ts';
import type { ReapDue } from '../../../compat/checks/reap.ts';
import {
  type AliasSource,
  CheckRunner,
  type CheckRunnerOptions,
  type CheckUpdate,
  type ProbeMaker,
} from '../../../compat/checks/runner.ts';
import { FakePorts, settle } from './fake-ports.ts';

type Run = {
  readonly name: string;
  readonly signal: AbortSignal;
  readonly outputBytesMax: number;
  end(result: ProbeResult): Promise<void>;
};

const broken: ProbeMaker = () => () => Promise.reject(new Error('bug'));

function noTtl(id: string) {
  return { ok: false, error: `CheckID "${id}" does not have associated TTL` };
}

const initial = { status: 'critical', output: '' } as const;

function http(name: string, fields: Partial<CheckDefinition> = {}): CheckDefinition {
  return { ...emptyCheck, name, http: 'http://x', intervalNs: 10e9, ...fields };
}

function rig(options: Partial<CheckRunnerOptions> = {}) {
  const ports = new FakePorts();
  const updates: CheckUpdate[] = [];
  const runs: Run[] = [];
  const views: { view: AliasView; changed: (() => void)[] } = {
    view: { exists: true, checks: [] },
    changed: [],
  };
  const aliases: AliasSource = {
    view: () => views.view,
    subscribe: (_target, changed) => {
      views.changed.push(changed);
      return () => views.changed.splice(views.changed.indexOf(changed), 1);
    },
  };
  const make: ProbeMaker = (definition, outputBytesMax) => (signal) =>
    new Promise((resolve) => {
      const end = async (result: ProbeResult): Promise<void> => {
        resolve(result);
        await settle();
      };
      runs.push({ name: definition.name, signal, outputBytesMax, end });
      signal.addEventListener('abort', () => resolve({ status: 'critical', output: 'aborted' }));
    });
  const runner = new CheckRunner({
    onUpdate: (update) => updates.push(update),
    aliases,
    ports,
    scripts: true,
    probes: { http: make, tcp: make, udp: make, grpc: make, script: make },
    ...options,
  });
  return { ports, updates, runs, runner, views };
}

describe('the schedule', () => {
  test('begins after a random part of the interval, then waits the interval after each run', async () => {
    const { ports, runs, runner } = rig();
    runner.start('c', http('c'), initial);
    await ports.advance(4999);
    expect(runs).toHaveLength(0);
    await ports.advance(1);
    expect(runs).toHaveLength(1);
    await ports.advance(60_000);
    expect(runs).toHaveLength(1);
    await runs[0]?.end({ status: 'passing', output: '' });
    await ports.advance(9999);
    expect(runs).toHaveLength(1);
    await ports.advance(1);
    expect(runs).toHaveLength(2);
  });

  test('is never shorter than a second', async () => {
    const { ports, runs, runner } = rig();
    runner.start('c', http('c', { intervalNs: 1 }), initial);
    await ports.advance(499);
    expect(runs).toHaveLength(0);
    await ports.advance(1);
    expect(runs).toHaveLength(1);
  });

  test('ends with the check: its run is cancelled, its result is dropped, no timer stays', async () => {
    const { ports, updates, runs, runner } = rig();
    runner.start('c', http('c'), initial);
    await ports.advance(5000);
    runner.stop('c');
    expect(runs[0]?.signal.aborted).toBe(true);
    await runs[0]?.end({ status: 'passing', output: 'late' });
    expect(updates).toEqual([]);
    expect([ports.pending, runner.has('c')]).toEqual([0, false]);
  });

  test('goes on through a replacement by the same definition', async () => {
    const { ports, runs, runner } = rig();
    runner.start('c', http('c'), initial);
    await ports.advance(3000);
    runner.replace('c', http('c'), initial);
    await ports.advance(2000);
    expect(runs).toHaveLength(1);
    runner.replace('c', http('c2'), initial);
    expect(runs[0]?.signal.aborted).toBe(true);
    await ports.advance(5000);
    expect(runs.map(({ name }) => name)).toEqual(['c', 'c2']);
  });

  test('of a replacement waits until what the cancelled run left is gone', async () => {
    const { ports, runs, runner } = rig();
    const gone = new EventEmitter();
    const settled = once(gone, 'gone').then(() => undefined);
    runner.start('c', http('old'), initial);
    await ports.advance(5000);
    await runs[0]?.end({ status: 'critical', output: 'killed', settled });
    runner.replace('c', http('new'), initial);
    await ports.advance(60_000);
    expect(runs).toHaveLength(1);
    gone.emit('gone');
    await settle();
    expect(runs.map(({ name }) => name)).toEqual(['old', 'new']);
  });

  test('lets only so many probes run at once and the rest in turn', async () => {
    const { ports, runs, runner } = rig({ networkProbesMax: 2 });
    for (const id of ['a', 'b', 'c', 'd']) runner.start(id, http(id), initial);
    await ports.advance(5000);
    expect(runs.map(({ name }) => name)).toEqual(['a', 'b']);
    runner.stop('c');
    await runs[0]?.end({ status: 'passing', output: '' });
    expect(runs.map(({ name }) => name)).toEqual(['a', 'b', 'd']);
  });

  test('stopAll waits for every run to let go', async () => {
    const { ports, runs, runner } = rig();
    runner.start('a', http('a'), initial);
    runner.start('b', http('b'), initial);
    await ports.advance(5000);
    await runner.stopAll();
    expect(runs.map(({ signal }) => signal.aborted)).toEqual([true, true]);
    expect(ports.pending).toBe(0);
  });
});

describe('results', () => {
  test('a status change is reported for publishing, the same again is not reported', async () => {
    const { ports, updates, runs, runner } = rig();
    runner.start('c', http('c'), initial);
    await ports.advance(5000);
    await runs[0]?.end({ status: 'passing', output: 'ok' });
    await ports.advance(10_000);
    await runs[1]?.end({ status: 'passing', output: 'ok' });
    expect(updates).toEqual([
      { checkId: 'c', status: 'passing', output: 'ok', statusChanged: true, publish: true },
    ]);
  });

  test('an output alone is kept, shown locally, and published once when its time comes', async () => {
    const { ports, updates, runs, runner } = rig({ updateIntervalMs: 60_000 });
    runner.start('c', http('c'), { status: 'passing', output: '1' });
    ports.chance = 0;
    await ports.advance(5000);
    await runs[0]?.end({ status: 'passing', output: '2' });
    await ports.advance(10_000);
    await runs[1]?.end({ status: 'passing', output: '3' });
    expect(updates.map(({ output, publish }) => [output, publish])).toEqual([
      ['2', false],
      ['3', false],
    ]);
    expect(runner.shown('c')).toEqual({ status: 'passing', output: '3' });
    await ports.advance(20_000);
    expect(updates.at(-1)).toEqual({
      checkId: 'c',
      status: 'passing',
      output: '3',
      statusChanged: false,
      publish: true,
    });
    expect(updates).toHaveLength(3);
  });

  test('thresholds hold results back', async () => {
    const { ports, updates, runs, runner } = rig();
    runner.start('c', http('c', { failuresBeforeCritical: 2 }), { status: 'passing', output: '' });
    await ports.advance(5000);
    await runs[0]?.end({ status: 'passing', output: 'ok' });
    await ports.advance(10_000);
    await runs[1]?.end({ status: 'critical', output: 'once' });
    expect(runner.shown('c')?.output).toBe('ok');
    await ports.advance(10_000);
    await runs[2]?.end({ status: 'critical', output: 'twice' });
    expect(updates.at(-1)).toMatchObject({ status: 'critical', output: 'twice', publish: true });
  });

  test('outputs are bounded, by the check as well, and may be discarded', async () => {
    const { ports, runs, runner } = rig({ outputBytesMax: 100 });
    runner.start('a', http('a', { outputMaxSize: 10 }), initial);
    runner.start('b', http('b', { outputMaxSize: 1000 }), initial);
    await ports.advance(5000);
    expect(runs.map(({ outputBytesMax }) => outputBytesMax)).toEqual([10, 100]);
    await runs[0]?.end({ status: 'passing', output: 'x'.repeat(100_000) });
    expect(runner.shown('a')?.output.length).toBe(10 + 2048);
    const discarding = rig({ discardOutput: true });
    discarding.runner.start('c', http('c'), initial);
    await discarding.ports.advance(5000);
    await discarding.runs[0]?.end({ status: 'passing', output: 'secret' });
    expect(discarding.updates).toMatchObject([{ status: 'passing', output: '' }]);
  });

  test('a probe that throws makes its own check critical and goes on', async () => {
    const { ports, updates, runner } = rig({
      probes: { http: broken, tcp: broken, udp: broken, grpc: broken, script: broken },
    });
    runner.start('c', http('c'), { status: 'passing', output: '' });
    await ports.advance(5000);
    expect(updates).toMatchObject([{ status: 'critical', output: 'check failed to run: bug' }]);
    expect(ports.pending).toBe(1);
  });

  test('a script from disk does not run when scripts are off', async () => {
    const { ports, runs, updates, runner } = rig({ scripts: false });
    runner.start('c', { ...emptyCheck, args: ['true'], intervalNs: 1e9 }, { status: 'passing', output: '' });
    await ports.advance(1000);
    expect(runs).toEqual([]);
    expect(updates).toMatchObject([{ status: 'critical', output: 'Scripts are disabled on this agent' }]);
  });
});

describe('a TTL check', () => {
  const ttl = { ...emptyCheck, name: 't', ttlNs: 10e9 };

  test('goes critical when no word comes, and again after the last word', async () => {
    const { ports, updates, runner } = rig();
    runner.start('t', ttl, { status: 'passing', output: '' });
    await ports.advance(9000);
    expect(runner.beat('t', 'passing', 'fine').ok).toBe(true);
    await ports.advance(9999);
    expect(runner.shown('t')?.status).toBe('passing');
    await ports.advance(1);
    expect(updates.at(-1)).toMatchObject({
      status: 'critical',
      output: 'TTL expired (last output before timeout follows): fine',
      publish: true,
    });
    expect(ports.pending).toBe(0);
    expect(runner.beat('t', 'warning', '')).toEqual({ ok: true, value: { status: 'warning', output: '' } });
    await ports.advance(10_000);
    expect(updates.at(-1)).toMatchObject({ status: 'critical', output: 'TTL expired' });
  });

  test('beats with the same word cost nothing', () => {
    const { updates, runner } = rig();
    runner.start('t', ttl, { status: 'passing', output: '' });
    for (let i = 0; i < 5; i += 1) runner.beat('t', 'passing', '');
    expect(updates).toEqual([]);
  });

  test('starts anew when it is registered again', async () => {
    const { ports, runner } = rig();
    runner.start('t', ttl, { status: 'passing', output: '' });
    await ports.advance(9000);
    runner.replace('t', ttl, { status: 'passing', output: '' });
    await ports.advance(9000);
    expect(runner.shown('t')?.status).toBe('passing');
  });

  test('a beat on anything else is refused in the words of Consul 1.8.7', () => {
    const { runner } = rig();
    runner.start('c', http('c'), initial);
    expect([runner.beat('c', 'passing', ''), runner.beat('nope', 'passing', '')]).toEqual([
      noTtl('c'),
      noTtl('nope'),
    ]);
  });
});

describe('an alias', () => {
  const alias = { ...emptyCheck, name: 'a', aliasService: 's' };

  test('looks at once, when told of a change, and every minute anyway', async () => {
    const { ports, updates, runner, views } = rig();
    const target = { checkId: 'x', serviceId: 's', isAlias: false, name: 'x', output: 'o' };
    runner.start('a', alias, initial);
    await ports.advance(0);
    expect(updates).toMatchObject([{ status: 'passing', output: 'No checks found.' }]);
    views.view = { exists: true, checks: [{ ...target, status: 'critical' }] };
    for (const changed of views.changed) changed();
    await ports.advance(0);
    expect(updates.at(-1)).toMatchObject({ status: 'critical', output: 'Aliased check "x" failing: o' });
    views.view = { exists: true, checks: [{ ...target, status: 'passing' }] };
    await ports.advance(59_999);
    expect(updates).toHaveLength(2);
    await ports.advance(1);
    expect(updates.at(-1)).toMatchObject({ status: 'passing', output: 'All checks passing.' });
    runner.stop('a');
    expect([ports.pending, views.changed.length]).toEqual([0, 0]);
  });
});

describe('reaping', () => {
  test('tells every 30 s which services are due, counting from the first critical result', async () => {
    const told: (readonly ReapDue[])[] = [];
    const { ports, runs, runner } = rig({ onServicesDue: (due) => told.push(due) });
    runner.start('c', http('c', { serviceId: 's', deregisterCriticalServiceAfterNs: 1e9 }), initial);
    await ports.advance(5000);
    await runs[0]?.end({ status: 'critical', output: '' });
    await ports.advance(60_000);
    expect(told).toEqual([]);
    await ports.advance(25_000);
    expect(told).toEqual([[{ serviceId: 's', checkId: 'c', criticalMs: 85_000 }]]);
    await runs[1]?.end({ status: 'passing', output: '' });
    expect(runner.servicesDue()).toEqual([]);
    runner.stop('c');
    await ports.advance(60_000);
    expect(told).toHaveLength(1);
    expect(ports.pending).toBe(0);
  });
});
