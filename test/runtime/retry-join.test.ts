import { describe, expect, test } from '@jest/globals';
import {
  attemptJoin,
  RetryJoin,
  type JoinSteps,
  type RetryJoinOptions,
} from '../../src/runtime/retry-join.ts';
import { endpointText } from '../../src/wire/endpoint.ts';

const own = '10.0.0.1:8301';

/** A world in which time passes by hand. */
class World {
  nowMs = 1000;
  /** Who answers a join. */
  readonly up = new Set<string>();
  /** What each address means now. */
  readonly names = new Map<string, readonly string[]>();
  readonly attempts: { readonly atMs: number; readonly tried: readonly string[] }[] = [];
  readonly logged: {
    readonly level: string;
    readonly message: string;
    readonly facts: Readonly<Record<string, string | number>>;
  }[] = [];
  readonly exhausted: string[] = [];
  connected = false;
  /** Whether a join that works makes this gateway a member at once. */
  joinConnects = true;
  #timers: { readonly atMs: number; readonly run: () => void }[] = [];

  steps(): JoinSteps {
    return {
      resolve: async (addresses) => ({
        endpoints: addresses.flatMap((address) =>
          (this.names.get(address) ?? []).map((host) => ({ address: host, port: 8301 })),
        ),
        problems: addresses
          .filter((address) => !this.names.has(address))
          .map((address) => ({ problem: `Failed to resolve ${address}: no such host` })),
      }),
      join: async (endpoints) => {
        this.attempts.push({ atMs: this.nowMs, tried: endpoints.map(({ address }) => address) });
        const results = endpoints.map((endpoint) =>
          this.up.has(endpoint.address)
            ? ({ endpoint, ok: true } as const)
            : ({ endpoint, ok: false, error: 'connection refused' } as const),
        );
        if (this.joinConnects && results.some(({ ok }) => ok)) this.connected = true;
        return results;
      },
      isOwn: (endpoint) => endpointText(endpoint) === own,
    };
  }

  retryJoin(options: Partial<RetryJoinOptions> = {}): RetryJoin {
    const log =
      (level: string) =>
      (message: string, facts: Readonly<Record<string, string | number>>): void => {
        this.logged.push({ level, message, facts });
      };
    return new RetryJoin({
      ...this.steps(),
      pool: 'LAN',
      addresses: ['seed'],
      policy: { intervalMs: 30_000, attemptsMax: 0 },
      connected: () => this.connected,
      nowMs: () => this.nowMs,
      setTimer: (run, afterMs) => {
        const timer = { atMs: this.nowMs + afterMs, run };
        this.#timers.push(timer);
        return () => {
          this.#timers = this.#timers.filter((each) => each !== timer);
        };
      },
      log: { info: log('info'), warn: log('warn') },
      onExhausted: (reason) => this.exhausted.push(reason),
      ...options,
    });
  }

  get timers(): number {
    return this.#timers.length;
  }

  async pass(ms: number): Promise<void> {
    const untilMs = this.nowMs + ms;
    for (;;) {
      await settled();
      const next = this.#timers.toSorted((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined || next.atMs > untilMs) break;
      this.#timers = this.#timers.filter((each) => each !== next);
      this.nowMs = Math.max(this.nowMs, next.atMs);
      next.run();
    }
    this.nowMs = untilMs;
    await settled();
  }
}

/** Whatever promises are under way have run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function seeded(world: World): World {
  world.names.set('seed', ['10.0.0.5']);
  return world;
}

describe('the first join', () => {
  test('is tried at once and then at the interval, until one answers; then it rests', async () => {
    const world = seeded(new World());
    world.retryJoin().start();
    await world.pass(40_000);
    world.up.add('10.0.0.5');
    await world.pass(200_000);
    expect(world.attempts.map(({ atMs }) => atMs)).toEqual([1000, 31_000, 61_000]);
    expect(world.timers).toBe(0);
    expect(world.logged.map(({ level }) => level)).toEqual(['warn', 'warn', 'info']);
    expect(world.logged[0]?.facts).toMatchObject({
      cluster: 'LAN',
      attempt: 1,
      error: 'Failed to join 10.0.0.5:8301: connection refused',
    });
  });

  test('looks names up for each attempt: a seed that has moved is found', async () => {
    const world = new World();
    world.up.add('10.0.0.9');
    world.retryJoin().start();
    await world.pass(1);
    expect(world.logged[0]?.facts['error']).toBe('Failed to resolve seed: no such host');
    world.names.set('seed', ['10.0.0.5']);
    await world.pass(30_000);
    world.names.set('seed', ['10.0.0.9']);
    await world.pass(30_000);
    expect(world.attempts.map(({ tried }) => tried)).toEqual([['10.0.0.5'], ['10.0.0.9']]);
    expect(world.connected).toBe(true);
  });

  test('that fails once more than it may ends the process, in the words of Consul', async () => {
    const world = seeded(new World());
    world.retryJoin({ policy: { intervalMs: 1000, attemptsMax: 2 } }).start();
    await world.pass(60_000);
    expect(world.attempts).toHaveLength(3);
    expect(world.exhausted).toEqual(['max join LAN retry exhausted, exiting']);
    expect(world.timers).toBe(0);
    expect(world.logged.map(({ message }) => message.endsWith('will retry'))).toEqual([true, true, false]);
  });

  test('never ends a gateway that is named in its own list: all gateways may have one configuration', async () => {
    const world = seeded(new World());
    world.names.set('seed', ['10.0.0.1', '10.0.0.5']);
    world.retryJoin({ policy: { intervalMs: 1000, attemptsMax: 2 } }).start();
    await world.pass(10_500);
    expect(world.exhausted).toEqual([]);
    expect(world.attempts.at(-1)?.tried).toEqual(['10.0.0.5']);
    expect(world.attempts).toHaveLength(11);
  });

  test('of a gateway that only names itself goes on quietly: its name may mean others too, later', async () => {
    const world = new World();
    world.names.set('seed', ['10.0.0.1']);
    world.retryJoin({ policy: { intervalMs: 1000, attemptsMax: 2 } }).start();
    await world.pass(10_000);
    expect([world.attempts, world.logged, world.exhausted]).toEqual([[], [], []]);
    world.names.set('seed', ['10.0.0.1', '10.0.0.5']);
    world.up.add('10.0.0.5');
    await world.pass(1000);
    expect(world.connected).toBe(true);
  });

  test('is over when others came first', async () => {
    const world = seeded(new World());
    const retry = world.retryJoin({ policy: { intervalMs: 1000, attemptsMax: 2 } });
    retry.start();
    await world.pass(500);
    world.connected = true;
    retry.membersChanged();
    await world.pass(60_000);
    expect(world.attempts).toHaveLength(1);
    expect(world.exhausted).toEqual([]);
  });

  test('goes on after it worked while this gateway still belongs to no cluster', async () => {
    const world = seeded(new World());
    world.up.add('10.0.0.5');
    world.joinConnects = false;
    const retry = world.retryJoin({ policy: { intervalMs: 1000, attemptsMax: 2 } });
    retry.start();
    await world.pass(10_500);
    expect(world.attempts).toHaveLength(11);
    world.connected = true;
    retry.membersChanged();
    await world.pass(10_000);
    expect(world.attempts).toHaveLength(11);
  });
});

describe('a gateway that joined and finds itself alone', () => {
  async function joined(): Promise<{ readonly world: World; readonly retry: RetryJoin }> {
    const world = seeded(new World());
    world.up.add('10.0.0.5');
    const retry = world.retryJoin({ policy: { intervalMs: 30_000, attemptsMax: 1 } });
    retry.start();
    await world.pass(100_000);
    expect(world.attempts).toHaveLength(1);
    return { world, retry };
  }

  test('tries again at once, then at the interval, and never gives up', async () => {
    const { world, retry } = await joined();
    world.connected = false;
    world.up.clear();
    const aloneMs = world.nowMs;
    retry.membersChanged();
    await world.pass(200_000);
    expect(world.attempts.slice(1, 4).map(({ atMs }) => atMs - aloneMs)).toEqual([0, 30_000, 60_000]);
    expect(world.exhausted).toEqual([]);
    world.up.add('10.0.0.5');
    await world.pass(30_000);
    expect(world.connected).toBe(true);
    expect(world.timers).toBe(0);
  });

  test('tries no more often than the interval when members come and go', async () => {
    const { world, retry } = await joined();
    for (let i = 0; i < 60; i++) {
      world.connected = i % 2 === 1;
      retry.membersChanged();
      await world.pass(1000);
    }
    expect(world.attempts.length).toBeLessThanOrEqual(1 + 2);
  });

  test('does nothing any more once it was stopped, an attempt under way included', async () => {
    const { world, retry } = await joined();
    world.connected = false;
    let release: () => void = () => undefined;
    const held = world.retryJoin({
      join: () => new Promise((resolve) => (release = () => resolve([]))),
    });
    held.start();
    await world.pass(1);
    held.stop();
    release();
    retry.stop();
    retry.membersChanged();
    await world.pass(100_000);
    expect(world.attempts).toHaveLength(1);
    expect(world.timers).toBe(0);
    expect(world.logged.filter(({ level }) => level === 'warn')).toEqual([]);
  });
});

describe('one attempt', () => {
  test('counts who answered, and says of all others why not', async () => {
    const world = seeded(new World());
    world.names.set('two', ['10.0.0.6', '10.0.0.7']);
    expect(await attemptJoin(['seed', 'two', 'gone'], world.steps())).toEqual({
      kind: 'failed',
      ownNamed: false,
      problems: [
        'Failed to resolve gone: no such host',
        'Failed to join 10.0.0.5:8301: connection refused',
        'Failed to join 10.0.0.6:8301: connection refused',
        'Failed to join 10.0.0.7:8301: connection refused',
      ],
    });
    world.up.add('10.0.0.6').add('10.0.0.5');
    expect(await attemptJoin(['seed', 'two', 'gone'], world.steps())).toEqual({ kind: 'joined', count: 2 });
  });

  test('that breaks is one that failed', async () => {
    const steps = { ...new World().steps(), resolve: () => Promise.reject(new Error('broken')) };
    expect(await attemptJoin(['seed'], steps)).toMatchObject({ kind: 'failed', problems: ['Error: broken'] });
    expect(await attemptJoin([], new World().steps())).toMatchObject({ problems: ['no servers to join'] });
  });
});
