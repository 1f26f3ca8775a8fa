import type { CommitListener } from '../../src/runtime/drive-loop.ts';
import type { Command, CommandOutcome } from '../../src/state/command.ts';
import type { ReadView } from '../../src/state/store.ts';
import { topic } from '../../src/state/topics.ts';
import type { FleetPort } from '../fleet/port.ts';
import { notOwnedText } from '../wire/refusal.ts';
import type { RunnerPorts } from '../checks/ports.ts';
import type { AgentLog } from './local-agent.ts';
import { membershipReactions } from './membership-reactions.ts';

export interface MembershipCatalogOptions {
  readonly fleet: FleetPort;
  readonly view: ReadView;
  readonly propose: (command: Command, done: (outcome: CommandOutcome) => void) => void;
  readonly onCommit: (listener: CommitListener) => () => void;
  readonly log: AgentLog;
  readonly ports: Pick<RunnerPorts, 'setTimer' | 'nowMs'>;
}

/**
 * Least time between comparisons: changes come in crowds, as when a gateway joins thousands, and each comparison looks
 * at every member. The first of a crowd is answered at once. Guess.
 */
const settleMs = 250;

/** What was refused (its owner could not be reached, say) is tried again. */
const retryMs = 15_000;

/** Keeps what the catalog says of the other gateways' health at what membership knows. */
export class MembershipCatalog {
  readonly #options: MembershipCatalogOptions;
  /** Ids by lower-case name. */
  #known = new Map<string, string>();
  readonly #departed = new Map<string, string>();
  #open = 0;
  #again = false;
  #lastMs = Number.NEGATIVE_INFINITY;
  #stopped = true;
  readonly #ends: (() => void)[] = [];
  #cancelTimer: (() => void) | undefined;

  constructor(options: MembershipCatalogOptions) {
    this.#options = options;
  }

  start(): void {
    const { fleet, onCommit } = this.#options;
    this.#stopped = false;
    this.#ends.push(
      fleet.onMembersChanged(() => this.#soon()),
      onCommit((touched) => {
        if (touched.has(topic.nodes) || touched.has(topic.zones)) this.#later(settleMs);
      }),
    );
    this.#react();
  }

  stop(): void {
    this.#stopped = true;
    for (const end of this.#ends.splice(0)) end();
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
  }

  #soon(): void {
    const idleMs = this.#options.ports.nowMs() - this.#lastMs;
    if (idleMs >= settleMs) this.#react();
    else this.#later(settleMs - idleMs);
  }

  #later(waitMs: number): void {
    if (this.#stopped || this.#cancelTimer !== undefined) return;
    this.#cancelTimer = this.#options.ports.setTimer(waitMs, () => {
      this.#cancelTimer = undefined;
      this.#react();
    });
  }

  #react(): void {
    if (this.#stopped) return;
    // One comparison at a time: the next one must see what this one came to.
    if (this.#open > 0) {
      this.#again = true;
      return;
    }
    this.#again = false;
    this.#lastMs = this.#options.ports.nowMs();
    const { fleet, view, propose } = this.#options;
    const members = fleet.members('lan');
    this.#remember(members.map(({ facts }) => facts));
    const commands = membershipReactions(view, {
      selfId: fleet.self('lan').facts.id,
      members,
      departed: this.#departed,
      ownsCatalog: fleet.ownsCatalog(),
    });
    this.#open = commands.length;
    for (const command of commands) propose(command, (outcome) => this.#done(command, outcome));
  }

  #remember(present: readonly { readonly name: string; readonly id: string }[]): void {
    const now = new Map(present.map(({ name, id }) => [name.toLowerCase(), id]));
    for (const [name, id] of this.#known) if (!now.has(name)) this.#departed.set(name, id);
    for (const name of now.keys()) this.#departed.delete(name);
    this.#known = now;
  }

  #done(command: Command, outcome: CommandOutcome): void {
    const { log } = this.#options;
    const node = 'node' in command && typeof command.node === 'string' ? command.node : '';
    if (outcome.kind === 'refused' || outcome.kind === 'not-owned') {
      const error = outcome.kind === 'refused' ? outcome.message : notOwnedText(outcome);
      log.warn('What membership says of a node was not written, and will be again', { node, error });
      this.#later(retryMs);
    } else if (command.kind === 'catalog-deregister') {
      log.info('Deregistered the node of a gateway that left', { node });
    } else if (command.kind === 'member-health' && command.check !== undefined) {
      log.info('Health of a gateway changed', { node, status: command.check.status });
    }
    this.#open -= 1;
    if (this.#open === 0 && this.#again) this.#react();
  }
}
