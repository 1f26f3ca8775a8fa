import type { Interceptor } from '../../compat/http/interceptor.ts';
import type { MigrationPort } from '../../compat/routes/migration-port.ts';
import { jsonType, type Reply } from '../../compat/wire/http.ts';
import { Kind } from '../../src/state/kinds.ts';
import { sourceIndexOf } from '../../src/state/lent.ts';
import { migrationSource, phaseRules } from '../../src/state/migration-rules.ts';
import { readerOf } from '../../src/state/migration.ts';
import { topic } from '../../src/state/topics.ts';
import { readGrants, Zones } from '../../src/state/zones.ts';
import { openBypass } from './bypass/bypass.ts';
import { openCatalogExport } from './catalog/export.ts';
import { openCatalogGate } from './catalog/gate.ts';
import { foundMigration } from './control/found.ts';
import { openReporting } from './control/reporting.ts';
import { keepFences } from './control/fence-keeper.ts';
import { HoldBook } from './control/hold-book.ts';
import { learnPhases } from './control/knowledge.ts';
import { operatorPort } from './control/operator.ts';
import { serveSteps } from './control/participant.ts';
import { Pauses } from './control/pauses.ts';
import { Peers } from './control/peers.ts';
import { ReplicaPhases, type PhaseFacts } from './control/phases.ts';
import { ProvisionalRules } from './control/provisional.ts';
import { Rehearsals } from './control/rehearsals.ts';
import { chooseRunner, RunnerChoice } from './control/runner.ts';
import { Stepper, type StepperParts } from './control/stepper.ts';
import { openDual } from './dual/open-dual.ts';
import type { GatewayPort } from './gateway-port.ts';
import type { EvidenceSink, LivePart, LiveSettings, PartContext } from './ports.ts';
import { SourceClient } from './proxy/source-client.ts';
import { openReverse } from './reverse/reverse.ts';
import { readerOver } from './reverse/source-io.ts';
import { openSessionPairs } from './sessions/pairs.ts';
import { openShadow, type ShadowOptions } from './shadow/shadow.ts';
import { openTail } from './tail/tail.ts';

/** The migration of one gateway. */
export interface Migrator {
  /** For HTTP: who answers a request. */
  readonly interceptor: Interceptor;
  readonly port: MigrationPort;
  /** For DNS: how the source's catalog is read by path, while it is the one that counts. */
  catalogElsewhere(): ((path: string) => Promise<Reply>) | undefined;
  /** Before the gateway listens, once it takes commands. */
  start(): void;
  /** Before the state machine ends. */
  stop(): Promise<void>;
}

/** What a migration needs of the process around it. */
export interface MigratorHost extends ShadowOptions {
  /** Of this program. */
  readonly version: string;
}

/** Makes the parts of a migration and connects them. Nothing runs before `start()`. */
export function openMigrator(gateway: GatewayPort, settings: LiveSettings, host: MigratorHost): Migrator {
  const hasSource = settings.source !== undefined;
  const provisional = new ProvisionalRules(gateway, hasSource);
  const phases = new ReplicaPhases(() => provisional.over(readFacts(gateway)));
  /** Somebody has written first rules, or will: they are on their way here. */
  const awaitsRules = (): boolean => hasSource && phases.rules.length === 0 && !provisional.hasOwnData;
  const hold = new HoldBook();
  const peers = new Peers({
    ...{ gateway, phases, hasSource },
    older: (of, prefix, step) => dual.older(of, prefix, step),
  });
  const runner = new RunnerChoice(gateway.nodeId, () =>
    chooseRunner(gateway.gateways(), (nodeId) => peers.hasSource(nodeId), gateway.ownerOf('')),
  );
  const client = settings.source === undefined ? undefined : new SourceClient(gateway, settings.source);
  const sinks: EvidenceSink[] = [];
  const context: PartContext = {
    ...{ gateway, phases, settings, runner, client, hold },
    evidence: {
      wants: (...read) => sinks.some((sink) => sink.wants?.(...read) !== false),
      observed: (observed) => sinks.forEach((sink) => sink.observed(observed)),
      acknowledged: (write) => sinks.forEach((sink) => sink.acknowledged(write)),
      mark: (what, detail) => sinks.forEach((sink) => sink.mark(what, detail)),
    },
  };

  const zones = new ZoneView(gateway);
  const sessions = client === undefined ? undefined : openSessionPairs(context, client);
  const catalog = client === undefined ? undefined : openCatalogGate(context, client);
  const dual = openDual(context, {
    ...(sessions === undefined
      ? {}
      : { sessions: (request) => sessions.intercept(request), adopt: (id) => sessions.adopt(id) }),
    ...(catalog === undefined ? {} : { catalog: (request) => catalog.intercept(request) }),
  });
  const bypass = openBypass(context, {
    ...{ own: client === undefined ? undefined : dual.own, isOpen: (key) => dual.isOpen(key) },
  });
  const tail =
    client === undefined ? undefined : openTail(context, { applying: (records) => bypass.applying(records) });
  const reverse = openReverse(context);
  const exported =
    client === undefined
      ? undefined
      : openCatalogExport(context, client, {
          isDecidedHere: (row) => row.term > 0 && sourceIndexOf(zones.now, row) === undefined,
        });
  const shadow = openShadow(context, host);
  sinks.push(shadow);
  const founding = foundMigration(context);
  const fences = keepFences(context, hold);
  /** Started in this order, stopped in the opposite one. */
  const named: Readonly<Record<string, LivePart>> = {
    ...(sessions === undefined ? {} : { sessions }),
    dual,
    bypass,
    ...(tail === undefined ? {} : { tail }),
    reverse,
    shadow,
    ...(exported === undefined ? {} : { catalog: exported }),
    fences,
    founding,
  };

  const rehearsals = new Rehearsals(gateway);
  const pauses = new Pauses(gateway, tail);
  const reader =
    client === undefined
      ? undefined
      : readerOver(client, settings.source?.token ?? '', settings.source?.addresses[0] ?? '');
  const reporting = openReporting(context, {
    ...{ shadow, peers, dual, bypass, tail, reverse, rehearsals, version: host.version },
    zones: () => zones.now,
    reader,
  });
  const stepperParts: StepperParts = {
    ...{ peers, dual, tail, reverse, rehearsals, exported },
    evidence: (of, prefix) => reporting.gates(of, prefix),
    askSource: async () => {
      if (client === undefined) return 'this gateway has no source configured';
      const token = settings.source?.token ?? '';
      const answer = await client.ask({ method: 'GET', path: '/v1/kv/_gw/absent?consistent', token });
      if (answer.kind !== 'answer') return `it does not answer: ${answer.why}`;
      return answer.status === 200 || answer.status === 404
        ? undefined
        : `it answers ${answer.status} ${answer.body.toString().slice(0, 200)}`;
    },
    sessionsReady: (waitMs) => sessions?.ready(waitMs) ?? Promise.resolve(),
  };
  const stepper = new Stepper(context, stepperParts);
  const port = operatorPort(context, {
    ...{ ...stepperParts, stepper, phases, reader, named: { ...named, reporting } },
    pauses,
    acceptSource: () => tail?.acceptOtherCluster() ?? false,
    report: (what, query) => reporting.answer(what, query),
    gathered: () => reporting.gathered(),
    sweep: (of, prefix, onDone) => shadow.verify(of, prefix, onDone),
  });
  const stops: (() => void)[] = [];
  let seenIndex = -1;

  return {
    interceptor: dual.interceptor,
    port,
    catalogElsewhere: () => {
      const rule = phases.catalog;
      if (client === undefined || rule === undefined || readerOf(rule.phase) === 'here') return undefined;
      return async (path) => {
        const answer = await client.ask({ method: 'GET', path, token: settings.source?.token ?? '' });
        if (answer.kind !== 'answer') throw new Error(answer.why);
        return { kind: 'reply', status: answer.status, body: answer.body.toString(), contentType: jsonType };
      };
    },
    start: () => {
      const look = (): void => {
        const index = gateway.view.tableIndex(Kind.migration);
        if (index === seenIndex) return;
        seenIndex = index;
        phases.refresh();
      };
      stops.push(serveSteps(context, { hold, dual, tail, reverse, exported }));
      stops.push(
        gateway.onCommit(look),
        peers.onHeard(() => runner.look()),
      );
      stops.push(gateway.onGatewaysChanged(() => runner.look()));
      look();
      runner.look();
      peers.start();
      stops.push(learnPhases(gateway, phases, peers, { hasSource, awaitsRules }));
      // Before anything is copied.
      pauses.start();
      for (const part of Object.values(named)) part.start();
      reporting.start();
      rehearsals.start();
    },
    stop: async () => {
      hold.releaseAll();
      rehearsals.stop();
      pauses.stop();
      await reporting.stop();
      for (const part of Object.values(named).toReversed()) {
        // oxlint-disable-next-line no-await-in-loop -- those that are built on others end first
        await part.stop();
      }
      peers.stop();
      client?.close();
      for (const stop of stops.splice(0)) stop();
    },
  };
}

function readFacts(gateway: GatewayPort): PhaseFacts {
  return { rules: phaseRules(gateway.view), source: migrationSource(gateway.view) };
}

/** The zones as they are now; read again when one of them changed. */
class ZoneView {
  readonly #gateway: GatewayPort;
  #zones: Zones | undefined;

  constructor(gateway: GatewayPort) {
    this.#gateway = gateway;
    gateway.onCommit((touched) => {
      if (touched.has(topic.zones)) this.#zones = undefined;
    });
  }

  get now(): Zones {
    this.#zones ??= new Zones(readGrants(this.#gateway.view));
    return this.#zones;
  }
}
