import { expect, test } from '@jest/globals';
import { Rehearsals } from '../../../../migration/live/control/rehearsals.ts';
import type { GatewayPort } from '../../../../migration/live/gateway-port.ts';
import { StateFixture } from '../../../support/state.ts';

/** Gateways that reach each other while they are alive. */
class Fleet {
  readonly #handlers = new Map<string, (body: unknown) => Promise<unknown>>();
  readonly #listeners: (() => void)[] = [];
  readonly away = new Set<string>();
  readonly #names: readonly string[];

  constructor(names: readonly string[]) {
    this.#names = names;
  }

  gateway(name: string): Rehearsals {
    const { store, step } = at(new StateFixture());
    const port: Partial<GatewayPort> = {
      ...{ nodeId: name, nodeName: name, view: store },
      propose: (command) => Promise.resolve(step(command)),
      gateways: () =>
        this.#names.map((each) => ({
          ...{ nodeId: each, nodeName: each, region: '', alive: !this.away.has(each) },
        })),
      onGatewaysChanged: (listener) => {
        this.#listeners.push(listener);
        return () => undefined;
      },
      serve: (_topic, handler) => this.#handlers.set(name, (body) => handler(body, name)),
      call: (to, _topic, body) =>
        this.away.has(to) || this.away.has(name)
          ? Promise.reject(new Error('no route'))
          : (this.#handlers.get(to)?.(body) ?? Promise.reject(new Error('not there'))),
    };
    return new Rehearsals(port as GatewayPort);
  }

  changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

function at(fixture: StateFixture) {
  return {
    store: fixture.store,
    step: (command: Parameters<GatewayPort['propose']>[0]) => fixture.step(command).outcome,
  };
}

const went = { atMs: 1000, ok: true, term: 4, text: 'well' };

test('a rehearsal is known to every gateway, whichever of them is asked', async () => {
  const fleet = new Fleet(['a', 'b']);
  const [a, b] = [fleet.gateway('a'), fleet.gateway('b')];
  await a.keep(went);
  expect([a.last(), b.last()]).toEqual([
    { ...went, by: 'a' },
    { ...went, by: 'a' },
  ]);
  await b.keep({ ...went, atMs: 2000, ok: false });
  expect(a.last()).toMatchObject({ atMs: 2000, ok: false, by: 'b' });
});

test('one that was away hears of it when it is back, and an older one changes nothing', async () => {
  const fleet = new Fleet(['a', 'b']);
  const [a, b] = [fleet.gateway('a'), fleet.gateway('b')];
  await b.keep({ ...went, atMs: 500 });
  fleet.away.add('b');
  a.start();
  await a.keep(went);
  expect(b.last()).toMatchObject({ atMs: 500 });
  fleet.away.clear();
  fleet.changed();
  while (b.last()?.atMs !== 1000) await new Promise((resolve) => setImmediate(resolve));
  expect(a.last()).toMatchObject({ atMs: 1000, by: 'a' });
  a.stop();
});
