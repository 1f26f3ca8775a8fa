import { decideFounding, foundingTags, type FoundingMember } from '../node/founding.ts';

export interface FoundTogetherOptions {
  /** `bootstrap_expect`, 2 or more. */
  readonly expect: number;
  readonly selfId: string;
  /** All that membership knows, this gateway and those that failed too. */
  readonly members: () => readonly FoundingMember[];
  /** Whether this gateway belongs to a cluster. */
  readonly belongs: () => boolean;
  /** Adds these to the tags of this gateway; none: takes back what it said before. */
  readonly say: (tags: Readonly<Record<string, string>>) => void;
  /** Joins the members with these node ids once, however that ends. */
  readonly ask: (ids: readonly string[]) => void;
  /** Founds the cluster; `belongs` is true when it returns. */
  readonly found: () => void;
  /** Answers how to cancel it. */
  readonly setTimer: (run: () => void, afterMs: number) => () => void;
  /** Why there is no datacenter yet, each reason once. */
  readonly onReason: (reason: string) => void;
}

export interface FoundTogether {
  /** To be called whenever a member or what it says of itself changed. */
  readonly look: () => void;
  readonly stop: () => void;
}

const askIntervalMs = 1000;

/** Founds the datacenter together with others (`decideFounding`), or comes to belong to the one that another founded. */
export function foundTogether(options: FoundTogetherOptions): FoundTogether {
  const { expect, selfId, belongs, say, onReason } = options;
  let said: string | undefined;
  let told = '';
  let over = false;
  let cancel: () => void = () => undefined;

  const stop = (): void => {
    over = true;
    cancel();
  };
  const finish = (): void => {
    stop();
    // Whoever belongs to a cluster must not say any more whom it waits with.
    if (said !== undefined) say({});
  };
  /** The members to ask meanwhile; undefined once it is over. */
  const decide = (): readonly string[] | undefined => {
    if (over) return undefined;
    if (belongs()) {
      finish();
      return undefined;
    }
    const { found, sees, reason, ask } = decideFounding({ expect, selfId, members: options.members() });
    if (found) {
      options.found();
      finish();
      return undefined;
    }
    if (sees !== said) {
      said = sees;
      say(foundingTags(expect, sees));
    }
    if (reason !== told) onReason(reason);
    told = reason;
    return ask;
  };
  const tick = (): void => {
    const ask = decide();
    if (ask === undefined) return;
    if (ask.length > 0) options.ask(ask);
    cancel = options.setTimer(tick, askIntervalMs);
  };
  tick();
  return { look: () => void decide(), stop };
}
