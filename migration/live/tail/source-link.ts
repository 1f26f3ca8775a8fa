import { Kind } from '../../../src/state/kinds.ts';
import { mirrorState } from '../../../src/state/mirror.ts';
import type { MigrationSource } from '../../../src/state/migration.ts';
import type { ForkEvidence } from '../../mirror/leaf-decision.ts';
import { sourceIdentity } from '../../source/identity.ts';
import type { LiveReader } from '../../source/live-reader.ts';
import type { GatewayPort } from '../gateway-port.ts';
import type { EvidenceSink, Phases } from '../ports.ts';
import type { SourceFacts } from './deps.ts';
import type { Throttles } from './throttles.ts';
import { describe } from './trouble.ts';

export interface SourceLinkOptions {
  readonly gateway: GatewayPort;
  readonly phases: Phases;
  readonly reader: LiveReader;
  readonly evidence: EvidenceSink;
  readonly throttles: Throttles;
  readonly tokenGiven: boolean;
  /** What the source is called, instead of an identity made of its servers. */
  readonly sourceId: string | undefined;
  readonly signal: AbortSignal;
  readonly identityMs: number;
  /** Another timeline holds: everything is to be compared anew. */
  readonly onTimeline: () => void;
}

/** Another cluster answers at the source's address: nothing of it is taken until somebody says that it is meant. */
export interface OtherCluster {
  readonly expected: string;
  readonly found: string;
  readonly sinceMs: number;
}

const serversCursor = 'tail-servers';

/** Who the source is, as the fleet agreed on it, and in which timeline its history is. */
export class SourceLink {
  readonly #options: SourceLinkOptions;
  #facts: SourceFacts | undefined;
  #timeline = 0;
  #forking: Promise<void> | undefined;
  other: OtherCluster | undefined;
  problem: string | undefined;
  #isSuspect = false;
  #accepted: string | undefined;
  #wake: () => void = () => undefined;
  readonly #waiting: (() => void)[] = [];

  constructor(options: SourceLinkOptions) {
    this.#options = options;
  }

  get isUp(): boolean {
    return this.#facts !== undefined && this.other === undefined && !this.#isSuspect;
  }

  get facts(): SourceFacts {
    if (this.#facts === undefined) throw new Error('the source was not reached yet');
    return this.#facts;
  }

  get timeline(): number {
    return this.#timeline;
  }

  /** Resolves when the source is known to be the one that was agreed on. */
  untilUp(): Promise<void> | undefined {
    if (this.isUp) return undefined;
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** The fleet agreed on something: another runner may have seen the fork first. */
  agreed(): void {
    const { source } = this.#options.phases;
    if (source === undefined || source.id !== this.#facts?.id || source.timeline <= this.#timeline) return;
    this.#timeline = source.timeline;
    this.#options.onTimeline();
  }

  /** The other cluster is meant: its history is another one. */
  acceptOther(): boolean {
    if (this.other === undefined) return false;
    this.#accepted = this.other.found;
    this.#wake();
    return true;
  }

  /** Nobody answered: another cluster may be there when somebody does. */
  suspect(): void {
    if (this.#facts === undefined || this.#isSuspect) return;
    this.#isSuspect = true;
    this.#wake();
  }

  /** Looks who answers, now and again. */
  async run(): Promise<void> {
    const { gateway, signal, identityMs } = this.#options;
    let tries = 0;
    while (!signal.aborted) {
      const wake = new AbortController();
      this.#wake = () => wake.abort();
      try {
        await this.#look();
        this.problem = undefined;
        tries = 0;
      } catch (error) {
        if (signal.aborted) break;
        this.problem = describe(error);
        this.#options.throttles.note(this.problem, 5000);
        tries += 1;
      }
      const span =
        this.#facts === undefined || this.problem !== undefined
          ? Math.min(5000, 100 * 2 ** Math.min(tries, 10))
          : identityMs;
      await gateway.clock.sleep(span * (0.75 + gateway.random() / 2), AbortSignal.any([signal, wake.signal]));
    }
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  /** Resolves when the next timeline is agreed on. */
  async fork(timeline: number, evidence: readonly ForkEvidence[]): Promise<void> {
    if (timeline < this.#timeline) return;
    // Another cluster contradicts all that this one said: it is no fork.
    await this.#look();
    if (this.other !== undefined || timeline < this.#timeline) return;
    this.#forking ??= this.#agreeOnFork(timeline + 1, evidence).finally(() => (this.#forking = undefined));
    await this.#forking;
  }

  async #agreeOnFork(timeline: number, evidence: readonly ForkEvidence[]): Promise<void> {
    const { gateway, evidence: sink, throttles, signal } = this.#options;
    const [first] = evidence;
    const what =
      first === undefined
        ? ''
        : `${first.key}: held ${first.heldStamp}, source ${first.sourceIndex} (${first.why}), ${evidence.length} in all`;
    gateway.log.warn(
      { timeline, evidence: evidence.slice(0, 5) },
      `the source's history was replaced: ${what}`,
    );
    sink.mark('fork', `timeline ${timeline}: ${what}`);
    for (let tries = 0; !signal.aborted; tries += 1) {
      const failed = await this.#set({ id: this.facts.id, timeline });
      if (failed === undefined) break;
      throttles.note(`a fork of the source is to be agreed on: ${failed}`, 5000);
      await gateway.clock.sleep(Math.min(5000, 100 * 2 ** Math.min(tries, 6)), signal);
    }
    if (signal.aborted || this.#timeline >= timeline) return;
    this.#timeline = timeline;
    this.#options.onTimeline();
  }

  async #look(): Promise<void> {
    const { reader, phases, sourceId, tokenGiven } = this.#options;
    const self = await reader.self();
    const servers = (await reader.servers()).map(({ id, node }) => (id === '' ? node : id));
    const id = sourceId ?? (await sourceIdentity(reader, self));
    const agreed = phases.source;
    const isSame = agreed === undefined || agreed.id === id || this.#knowsOneOf(agreed, servers);
    if (!isSame && this.#accepted !== id) {
      this.#isOther(agreed.id, id);
      return;
    }
    const source = isSame && agreed !== undefined ? agreed : { id, timeline: (agreed?.timeline ?? 0) + 1 };
    if (source !== agreed) {
      const failed = await this.#set(source);
      if (failed !== undefined) throw new Error(`the source could not be agreed on: ${failed}`);
    }
    const facts = { id: source.id, aclsEnabled: self.aclsEnabled, tokenGiven, version: self.version };
    const isNew = this.#facts?.id !== source.id || this.other !== undefined;
    this.#facts = facts;
    this.other = undefined;
    this.#isSuspect = false;
    this.#accepted = undefined;
    if (source.timeline > this.#timeline || isNew) {
      this.#timeline = source.timeline;
      this.#options.onTimeline();
    }
    await this.#rememberServers(servers);
    for (const resolve of this.#waiting.splice(0)) resolve();
  }

  #isOther(expected: string, found: string): void {
    if (this.other?.found === found) return;
    const { gateway, evidence } = this.#options;
    this.other = { expected, found, sinceMs: gateway.clock.now() };
    gateway.log.error(
      { expected, found },
      'another cluster answers at the address of the source: copying stopped',
    );
    evidence.mark('other-cluster', `expected ${expected}, found ${found}`);
  }

  /** Servers come and go one by one: a cluster of which one is known is the same. */
  #knowsOneOf(agreed: MigrationSource, servers: readonly string[]): boolean {
    const known = new Set(this.#servers(agreed.id));
    return servers.some((server) => known.has(server));
  }

  #servers(id: string): readonly string[] {
    const row = this.#options.gateway.view.get(Kind.mirror, id);
    const text = mirrorState(row?.value ?? null, id).cursors[serversCursor] ?? '';
    return text === '' ? [] : text.split('\n');
  }

  async #rememberServers(servers: readonly string[]): Promise<void> {
    const { id } = this.facts;
    const text = servers.toSorted().join('\n');
    if (text === '' || this.#servers(id).join('\n') === text) return;
    await this.#options.gateway.propose({
      ...{ kind: 'mirror-apply', source: id, timeline: this.#timeline, records: [] },
      cursors: { [serversCursor]: text },
    });
  }

  /** Why not, in words; undefined: done. */
  async #set(source: MigrationSource): Promise<string | undefined> {
    const outcome = await this.#options.gateway.propose({ kind: 'migration-source', source });
    if (outcome.kind === 'migration') return undefined;
    const held = this.#options.phases.source;
    if (held?.id === source.id && held.timeline >= source.timeline) return undefined;
    return 'message' in outcome ? outcome.message : outcome.kind;
  }
}
