import { FakeSource } from './fake-source.ts';
import { TailFixture, until } from './fixture.ts';

type Options = ConstructorParameters<typeof TailFixture>[1];

/** Tails of one source in memory; all that were started are stopped together. */
export class Mirrored {
  source = new FakeSource();
  readonly #running: TailFixture[] = [];

  readonly start = (options: Options = {}): TailFixture => {
    const fixture = new TailFixture(this.source, options);
    this.#running.push(fixture);
    fixture.tail.start();
    return fixture;
  };

  /** A tail of all keys, caught up. */
  readonly mirrored = async (keys: Record<string, string>, options: Options = {}): Promise<TailFixture> => {
    for (const [key, value] of Object.entries(keys)) this.source.set(key, value);
    const fixture = this.start(options);
    fixture.step('kv', '', 'mirror');
    await this.caughtUp(fixture);
    return fixture;
  };

  readonly caughtUp = async (fixture: TailFixture): Promise<void> => {
    const wanted = (): Record<string, string> =>
      Object.fromEntries(
        [...this.source.entries.values()]
          .filter(({ key }) => !key.startsWith('_gw/'))
          .map(({ key, text }): [string, string] => [key, Buffer.from(text, 'base64').toString()])
          .toSorted(),
      );
    const isSame = (): boolean =>
      fixture.tail.progress('kv', '')?.backfilled === true &&
      JSON.stringify(fixture.keys()) === JSON.stringify(wanted());
    await until(isSame, () => ({ status: fixture.tail.status(), here: fixture.keys() }));
  };

  async stop(): Promise<void> {
    await Promise.all(this.#running.splice(0).map((fixture) => fixture.tail.stop()));
  }
}
