import type { PassedReply } from '../../../compat/http/interceptor.ts';

/** Queries that wait at the source, and end when it is no longer the source's to answer them. */
export class WaitingReads {
  readonly #looks = new Set<() => void>();

  get count(): number {
    return this.#looks.size;
  }

  /** Phases have changed. */
  look(): void {
    for (const look of [...this.#looks]) look();
  }

  /** `moved`: the answer from here, once that is who answers. `gone`: ends the wait over there. */
  until(
    passed: Promise<PassedReply>,
    gone: Pick<AbortController, 'abort'>,
    moved: () => PassedReply | undefined,
  ): Promise<PassedReply> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const answer = moved();
        if (answer === undefined) return;
        this.#looks.delete(look);
        resolve(answer);
        gone.abort();
      };
      this.#looks.add(look);
      passed.then(resolve, reject).finally(() => this.#looks.delete(look));
    });
  }
}
