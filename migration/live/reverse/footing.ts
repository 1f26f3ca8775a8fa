import type { MigrationSource, PhaseRule } from '../../../src/state/migration.ts';
import { ConnectionError } from '../../source/connection.ts';
import type { ConsulReader } from '../../source/consul-reader.ts';
import { isOtherCluster, otherClusterText } from '../../source/servers.ts';
import type { FenceCheck } from '../dual/consul-txn.ts';
import { fenceKey, type Fences } from '../dual/fence.ts';
import { readKey } from '../dual/read-key.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { SourceAsker } from '../proxy/source-client.ts';
import { keepBaseline, keepKnown, keepProgress, type Baseline, type Ledger } from './ledger.ts';
import { progressKey } from './source-io.ts';

/** Thrown where a round cannot go on; the next one begins from what is known. */
export class Trouble extends Error {}

export interface FootingOptions {
  readonly gateway: GatewayPort;
  readonly rule: PhaseRule;
  readonly source: SourceAsker;
  readonly token: string;
  readonly reader: ConsulReader;
  readonly fences: Fences;
  readonly ledger: Ledger;
  readonly isOwn: (key: string) => boolean;
  /** What the fleet agreed on. */
  readonly agreed: () => MigrationSource | undefined;
  /** The source has an identity by an operator's word, whoever its servers are. */
  readonly isNamed: boolean;
  /** The source is not as it was left: what is known of single keys counts no more, everything is compared anew. */
  readonly onLost: (why: string) => void;
}

const moved = 'another cluster is the source now';

/**
 * What copying back relies on: that the source is the one that was moved away from, and that it still has what was last
 * written there. Two keys of ours tell: the fence of the rule, and the one that each of our transactions writes. Their
 * indexes go back where a snapshot was restored; in another cluster they are not there.
 */
export class Footing {
  readonly #options: FootingOptions;
  /** Why what is known of keys counts no more. */
  #lost: string | undefined;

  constructor(options: FootingOptions) {
    this.#options = options;
  }

  /** @throws Trouble before copying began */
  get baseline(): Baseline {
    const { ledger, rule } = this.#options;
    const held = ledger.baseline(rule.prefix);
    if (held === undefined || held.term !== rule.term) throw new Trouble('copying back has not begun yet');
    return held;
  }

  /** The fence in force, with the baseline that goes with it kept. Nothing is written to another cluster. */
  async fence(): Promise<FenceCheck> {
    const { fences, rule, ledger, gateway, isOwn, onLost } = this.#options;
    const { prefix, term } = rule;
    const servers = fences.indexOf({ prefix, term }) === undefined ? await this.#identify() : undefined;
    const outcome = await fences.check({ prefix, term });
    if (outcome.kind === 'trouble') throw new Trouble(`the fence at the source: ${outcome.why}`);
    if (outcome.kind === 'stale') {
      throw new Trouble(
        `the source knows term ${outcome.term}, this gateway ${term}: the authority moved on`,
      );
    }
    const { check } = outcome;
    const held = ledger.baseline(prefix);
    const known = ledger.known(prefix);
    const now = {
      fence: check.index,
      sourceId: this.#options.agreed()?.id ?? '',
      servers: servers === undefined || servers.length === 0 ? (known?.servers ?? []) : servers,
    };
    const goesOn = held?.term === term && !held.over;
    const isKept = known === undefined || known.fence === check.index;
    if (goesOn && isKept && this.#lost === undefined) {
      if (servers !== undefined) await ledger.write(keepKnown(prefix, now));
      return check;
    }
    // Who decided the step was there from the start. Others take what they find as what the one before them left.
    const isFirst = rule.byNode === gateway.nodeId && held?.term !== term;
    const why = goesOn ? (this.#lost ?? 'the fence at the source is not the one that was set') : undefined;
    const index = isFirst ? check.index : await this.#indexNow();
    await ledger.forget(prefix, isOwn);
    await ledger.write(
      keepBaseline(prefix, { term, index, over: false, behind: why !== undefined }),
      keepKnown(prefix, now),
      keepProgress(prefix, await this.#progressNow()),
    );
    this.#lost = undefined;
    if (why !== undefined) {
      gateway.log.warn(
        { prefix, why },
        'the source was restored or replaced: everything is compared, and what is here is copied there',
      );
      onLost(why);
    }
    return check;
  }

  /** @throws Trouble where the source has not got what was written there: nothing that it shows says who wrote it */
  async mustStand(): Promise<void> {
    const { ledger, rule } = this.#options;
    const { prefix } = rule;
    // Before the source is asked: it may be ahead of this, and must not be behind.
    const known = ledger.known(prefix);
    const progress = ledger.progress(prefix);
    if (known === undefined) return;
    const fence = await this.#indexOf(fenceKey(prefix));
    const done = await this.#progressNow();
    if (fence >= known.fence && done >= progress) {
      // Nobody else writes it: that was this gateway, and is known by now.
      if (ledger.progress(prefix) < done) await ledger.write(keepProgress(prefix, done));
      return;
    }
    this.#lose();
  }

  /** @throws Trouble where a key at the source is older than it was: a large value goes without a transaction */
  mustNotGoBack(index: number | undefined, mirrored: number | undefined): void {
    if (index !== undefined && mirrored !== undefined && index < mirrored) this.#lose();
  }

  #lose(): never {
    const { fences, rule } = this.#options;
    fences.forget(rule.prefix);
    this.#lost = 'the source has not got any more what was last written there: it was restored';
    throw new Trouble(this.#lost);
  }

  /** All that was behind has been copied: from here on, what goes at the source was removed by somebody. */
  async caughtUp(): Promise<void> {
    const { ledger, rule } = this.#options;
    const { baseline } = this;
    if (baseline.behind) await ledger.write(keepBaseline(rule.prefix, { ...baseline, behind: false }));
  }

  /** Its servers. Those of a cluster come and go one by one: one of which one is known is the same. */
  async #identify(): Promise<readonly string[]> {
    const { reader, ledger, rule, agreed, isNamed } = this.#options;
    const servers = await reader.servers().then(
      (rows) => rows.map(({ id, node }) => (id === '' ? node : id)).toSorted(),
      (error: unknown): readonly string[] => {
        // A token that may not see them: then nobody can tell.
        if (error instanceof ConnectionError && error.kind === 'denied') return [];
        throw error;
      },
    );
    const known = ledger.known(rule.prefix);
    if (known === undefined || !isOtherCluster(known.servers, servers)) return servers;
    if (!isNamed && known.sourceId === (agreed()?.id ?? '')) {
      throw new Trouble(otherClusterText(known.servers, servers));
    }
    this.#lost = moved;
    return servers;
  }

  #progressNow(): Promise<number> {
    const { gateway, rule } = this.#options;
    return this.#indexOf(progressKey(gateway.nodeName, rule.prefix));
  }

  /** 0: it is not there. */
  async #indexOf(key: string): Promise<number> {
    const { source, token } = this.#options;
    const reading = await readKey(source, token, key);
    if (reading.kind === 'trouble') throw new Trouble(reading.why);
    return reading.kind === 'absent' ? 0 : reading.entry.modifyIndex;
  }

  async #indexNow(): Promise<number> {
    const { source, token, rule } = this.#options;
    const reading = await readKey(source, token, `${fenceKey(rule.prefix)}#absent`);
    if (reading.kind !== 'absent') throw new Trouble('no index of the source could be read');
    return reading.index;
  }
}
