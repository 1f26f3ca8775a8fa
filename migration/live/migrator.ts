import type { Interceptor } from '../../compat/http/interceptor.ts';
import type { MigrationPort } from '../../compat/routes/migration-port.ts';
import { Kind } from '../../src/state/kinds.ts';
import { migrationSource, phaseRules } from '../../src/state/migration-rules.ts';
import { foundMigration } from './control/found.ts';
import { HoldBook } from './control/hold-book.ts';
import { learnPhases } from './control/knowledge.ts';
import { Peers } from './control/peers.ts';
import { ReplicaPhases, type PhaseFacts } from './control/phases.ts';
import { ProvisionalRules } from './control/provisional.ts';
import { chooseRunner, RunnerChoice } from './control/runner.ts';
import { SourceClient } from './proxy/source-client.ts';
import type { EvidenceSink, GatewayPort, LivePart, LiveSettings, PartContext } from './ports.ts';

/** The migration of one gateway. */
export interface Migrator {
  /** For HTTP: who answers a request. */
  readonly interceptor: Interceptor;
  readonly port: MigrationPort;
  /** Once the gateway takes commands and calls. */
  start(): void;
  /** Before the state machine ends. */
  stop(): Promise<void>;
}

/** Makes the parts of a migration and connects them. Nothing runs before `start()`. */
export function openMigrator(gateway: GatewayPort, settings: LiveSettings): Migrator {
  const hasSource = settings.source !== undefined;
  const provisional = new ProvisionalRules(gateway, hasSource);
  const phases = new ReplicaPhases(() => provisional.over(readFacts(gateway)));
  /** Somebody has written first rules, or will: they are on their way here. */
  const awaitsRules = (): boolean => hasSource && phases.rules.length === 0 && !provisional.hasOwnData;
  const hold = new HoldBook();
  const peers = new Peers({ gateway, phases, hasSource, older: () => 0 });
  const runner = new RunnerChoice(gateway.nodeId, () =>
    chooseRunner(gateway.gateways(), (nodeId) => peers.hasSource(nodeId), gateway.ownerOf('')),
  );
  const client = settings.source === undefined ? undefined : new SourceClient(gateway, settings.source);
  const sinks: EvidenceSink[] = [];
  const context: PartContext = {
    ...{ gateway, phases, settings, runner, client, hold },
    evidence: {
      observed: (observed) => sinks.forEach((sink) => sink.observed(observed)),
      acknowledged: (write) => sinks.forEach((sink) => sink.acknowledged(write)),
      mark: (what, detail) => sinks.forEach((sink) => sink.mark(what, detail)),
    },
  };
  /** Started in this order, stopped in the opposite one. */
  const parts: readonly LivePart[] = [];
  const founding = foundMigration(context);
  const stops: (() => void)[] = [];
  let seenIndex = -1;

  return {
    interceptor: { intercept: () => undefined },
    port: {
      ask: () => Promise.resolve({ status: 501, body: 'not built yet' }),
      order: () => Promise.resolve({ status: 501, body: 'not built yet' }),
    },
    start: () => {
      const look = (): void => {
        const index = gateway.view.tableIndex(Kind.migration);
        if (index === seenIndex) return;
        seenIndex = index;
        phases.refresh();
      };
      stops.push(
        gateway.onCommit(look),
        peers.onHeard(() => runner.look()),
      );
      stops.push(gateway.onGatewaysChanged(() => runner.look()));
      look();
      runner.look();
      peers.start();
      stops.push(learnPhases(gateway, phases, peers, awaitsRules));
      for (const part of parts) part.start();
      founding.start();
    },
    stop: async () => {
      await founding.stop();
      for (const part of parts.toReversed()) {
        // oxlint-disable-next-line no-await-in-loop -- those that are built on others end first
        await part.stop();
      }
      peers.stop();
      hold.releaseAll();
      client?.close();
      for (const stop of stops.splice(0)) stop();
    },
  };
}

function readFacts(gateway: GatewayPort): PhaseFacts {
  return { rules: phaseRules(gateway.view), source: migrationSource(gateway.view) };
}
