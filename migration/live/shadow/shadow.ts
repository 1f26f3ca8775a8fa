import type { RouteContext } from '../../../compat/routes/context.ts';
import type { Route } from '../../../compat/routes/route.ts';
import { authorityOf, isCompared, type MigrationKind, type PhaseRule } from '../../../src/state/migration.ts';
import { Evidence } from '../../evidence/evidence.ts';
import type { EvidencePart, EvidenceSnapshot, Sampling, SweepEvidence } from '../../evidence/snapshot.ts';
import { sumCells } from '../../evidence/sums.ts';
import { prefixOfOwn } from '../catalog/wanted-nodes.ts';
import type { EvidenceSink, LivePart, PartContext } from '../ports.ts';
import { AgreementProbe } from './agreement.ts';
import { Comparisons } from './comparisons.ts';
import type { EvidenceStore } from './evidence-file.ts';
import { HeldVersions } from './held-versions.ts';
import { openHere } from './here-reader.ts';
import { shadowRulesHash, shadowRulesVersion } from './ignore.ts';
import { Intake, type Counting } from './intake.ts';
import { keep, readKept } from './keeping.ts';
import { Lane } from './lane.ts';
import { shadowLimits } from './limits.ts';
import { parsePart, snapshotOfParts } from './part-form.ts';
import { loopLoad, Pace } from './pace.ts';
import type { ReadKind } from './question.ts';
import { Readings } from './readings.ts';
import { Redactor } from './redactor.ts';
import { isSampled } from './sampling.ts';
import { SharedSecret } from './secret.ts';
import { Sightings } from './sightings.ts';
import type { SourceAsk } from './source-reader.ts';
import type { SweepResult } from '../../compare/sweep.ts';
import { verify } from './verify.ts';
import { Visibility } from './visibility.ts';
import { Witness } from './witness.ts';

export interface ShadowOptions {
  readonly routes: readonly Route[];
  /** What this gateway's routes are called with; undefined while it does not answer yet. */
  readonly routeContext: () => RouteContext | undefined;
  /** Undefined: evidence ends with the process. */
  readonly store: EvidenceStore | undefined;
  readonly reveal?: boolean;
  /** In place of `context.client`. */
  readonly source?: SourceAsk;
  /** In place of those of `shadowLimits`. */
  readonly recheckDelaysMs?: readonly number[];
  readonly noisePercent?: number;
  readonly linearizablePercent?: number;
  readonly agreementPercent?: number;
  /** How busy the event loop was since it was asked last, 0 to 1. */
  readonly load?: () => number;
}

export interface Shadow extends LivePart, EvidenceSink {
  /** This gateway's evidence now. */
  ownEvidence(): EvidencePart;
  /** That of all gateways, asked now. Never rejects: who does not answer is named in `absent`. */
  gatherEvidence(): Promise<EvidenceSnapshot>;
  /** Compares everything under a rule, both ways, and adds what comes of it to the evidence. Never rejects. */
  verify(of: MigrationKind, prefix: string, onDone?: (result: SweepResult) => void): Promise<SweepEvidence>;
  /** How many of all keys are looked at, in percent. */
  ramp(percent: number): void;
  /** Resolves when nothing that was observed waits to be compared for the first time. */
  idle(): Promise<void>;
}

const evidenceTopic = 'evidence';
const gatherWaitMs = 5_000;
const tickMs = 250;
/** How long all else waits for the fleet's secret. */
const secretWaitMs = 2_500;

/**
 * Compares what clients are answered with what the other side would have answered, and keeps the evidence. Nothing of it
 * is in a client's way: it is told of answers that were given already, looks at them when the event loop is free, in a
 * lane of its own, and drops what it has no room for, counted.
 */
export function openShadow(context: PartContext, options: ShadowOptions): Shadow {
  const { gateway, phases, settings } = context;
  const { clock, monoMs } = gateway;
  const source = options.source ?? context.client;
  const recheckDelaysMs = options.recheckDelaysMs ?? shadowLimits.recheckDelaysMs;
  const linearizablePercent = options.linearizablePercent ?? shadowLimits.linearizablePercent;
  const agreementPercent = options.agreementPercent ?? shadowLimits.agreementPercent;
  const noisePercent = options.noisePercent ?? shadowLimits.noisePercent;
  let percent = settings.shadowPercent;

  const sampling = (): Sampling => ({
    percent,
    noisePercent,
    linearizablePercent,
    recheckDelaysMs: [...recheckDelaysMs],
    concurrencyMax: shadowLimits.concurrencyMax,
    perSecondMax: settings.shadowRequestsPerSecondMax,
  });
  const redactor = new Redactor(options.reveal === true ? 'revealed' : 'redacted');
  const own = gateway.gateways().find(({ nodeId }) => nodeId === gateway.nodeId);
  const identity = {
    gateway: { id: gateway.nodeId, name: gateway.nodeName, region: own?.region ?? '' },
    rules: { version: shadowRulesVersion, sha256: shadowRulesHash() },
  };
  const begin = (epoch: number, before?: EvidencePart): Evidence =>
    new Evidence(
      { ...identity, epoch, redaction: redactor.redaction, sampling: sampling() },
      clock.now(),
      before,
    );

  const isSampledKey = (key: string): boolean => isSampled(key, percent, 'shadow');
  const held = new HeldVersions({
    view: gateway.view,
    monoMs,
    wanted: (key) => isSampledKey(key) && phases.ofKey(key) !== undefined,
    timeline: () => phases.source?.timeline,
  });
  const lane = new Lane({
    concurrencyMax: shadowLimits.concurrencyMax,
    perSecondMax: settings.shadowRequestsPerSecondMax,
    queueMax: shadowLimits.queueMax,
    monoMs,
    sleep: (ms, signal) => clock.sleep(ms, signal),
  });
  const here = openHere({ gateway, routes: options.routes, context: options.routeContext });
  /** Here, and as they are shown at the source. */
  const gatewayNodes = (): ReadonlySet<string> => {
    const names = gateway.gateways().map(({ nodeName }) => nodeName.toLowerCase());
    return new Set(names.flatMap((name) => [name, `${prefixOfOwn}${name}`]));
  };

  /** The rule that an answer counts under; undefined: none, or several that are not all alike. */
  const ruleOf = ({ of, key, subject }: ReadKind): PhaseRule | undefined => {
    if (of === 'catalog') return phases.catalog;
    if (key !== undefined) return phases.ofKey(key);
    const rules = phases.under(subject);
    return rules.every(({ phase }) => phase === rules[0]?.phase) ? rules[0] : undefined;
  };

  const comparisonsOf = (evidence: Evidence, sightings: Sightings, asked: SourceAsk): Comparisons => {
    const shared = { evidence, lane, held, clock, monoMs };
    const ownToken = settings.source?.token ?? '';
    return new Comparisons({
      ...{ ...shared, redactor, recheckDelaysMs, noisePercent, random: gateway.random },
      readings: new Readings({ ...shared, source: asked, here, sightings, gatewayNodes, ownToken }),
      isWanted: (question) => isCompared(ruleOf(question)?.phase ?? 'final'),
    });
  };

  /** Everything that counts, made anew around what was kept when the part starts. */
  const open = (evidence: Evidence): Counting => {
    const sightings = new Sightings(monoMs());
    return {
      evidence,
      sightings,
      witness: new Witness({
        evidence,
        redactor,
        held,
        ruleOf: (key) => phases.ofKey(key),
        clock,
        linearizablePercent,
      }),
      comparisons: source === undefined ? undefined : comparisonsOf(evidence, sightings, source),
    };
  };
  let parts = open(begin(clock.now()));
  let secretOfDisk = false;
  const visibility = new Visibility(gateway, () => parts.evidence, held);
  const agreement = new AgreementProbe(gateway, () => parts.evidence);
  gateway.serve(evidenceTopic, () => Promise.resolve(ownEvidence()));
  const secret = new SharedSecret(gateway, redactor, () => secretOfDisk);

  const intake = new Intake({
    ...{ gateway, held, lane, redactor, visibility, agreement, agreementPercent },
    pace: new Pace(monoMs, options.load ?? loopLoad()),
    ...{ ruleOf, isSampledKey, gatewayNodes },
    ruleOfKey: (key) => phases.ofKey(key),
    counting: () => parts,
  });
  const quietly = (work: () => void): void => intake.quietly(work);
  const stops: (() => void)[] = [];
  const working: Promise<unknown>[] = [];
  let orderOfVersions = '';
  gateway.metrics.gauge('shadow.waiting', () => lane.waiting + intake.waiting);
  gateway.metrics.gauge('shadow.open', () => parts.comparisons?.open ?? 0);

  const ownEvidence = (): EvidencePart => {
    intake.flush();
    parts.evidence.setSampling(sampling());
    return parts.evidence.part(clock.now());
  };

  /** Versions compare as long as the same side decides them, in the same history. */
  const lookAtRules = (): void => {
    const order = JSON.stringify([
      phases.source ?? null,
      phases.rules.map(({ of, prefix, phase }) => [of, prefix, authorityOf(phase)]),
    ]);
    if (order === orderOfVersions) return;
    orderOfVersions = order;
    parts.witness.clear();
    parts.sightings.clear();
  };

  const save = (): Promise<void> => keep(options.store, redactor.secret, ownEvidence(), gateway.log);

  const restore = async (): Promise<void> => {
    const { part, secret: kept } = await readKept(options.store, gateway.log);
    if (kept !== undefined) {
      redactor.adopt(kept);
      secretOfDisk = true;
    } else {
      await Promise.race([secret.settle(), clock.sleep(secretWaitMs, lane.signal)]);
    }
    // What was counted while that was read is little, and is given up.
    const mine = part?.gateway.id === gateway.nodeId ? part : undefined;
    parts = open(begin(Math.max(clock.now(), (mine?.epoch ?? 0) + 1), mine));
    for (const caveat of caveats) parts.evidence.note(caveat);
    intake.isOpen = true;
  };

  const run = async (): Promise<void> => {
    await restore();
    let savedMs = monoMs();
    while (!lane.signal.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- that is what a loop of ticks does
      await clock.sleep(tickMs, lane.signal);
      visibility.tick();
      quietly(() => {
        intake.flush();
        parts.witness.tick(monoMs());
        parts.comparisons?.tick();
      });
      if (monoMs() - savedMs < shadowLimits.persistEveryMs) continue;
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await save();
      savedMs = monoMs();
    }
  };

  return {
    wants: (request, rules) => intake.wants(request, rules),
    observed: (observed) => intake.observed(observed),
    acknowledged: (write) => intake.acknowledged(write),
    mark: (what, detail) =>
      quietly(() => parts.evidence.mark({ atMs: clock.now(), what, detail: detail.slice(0, 512) })),
    start: () => {
      lookAtRules();
      stops.push(
        gateway.onCommit((touched) => quietly(() => held.committed(touched))),
        phases.onChange(() => quietly(lookAtRules)),
      );
      working.push(run());
    },
    stop: async () => {
      for (const stop of stops.splice(0)) stop();
      await lane.stop();
      await Promise.all(working);
      await visibility.settled();
      if (intake.isOpen) await save();
    },
    status: () => {
      const { counts } = sumCells(ownEvidence().cells);
      return {
        ...counts,
        percent,
        waiting: lane.waiting + intake.waiting,
        lookedAtAgain: parts.comparisons?.open ?? 0,
        watchedWrites: visibility.watched,
        hasSource: source !== undefined,
      };
    },
    ownEvidence,
    gatherEvidence: async () => {
      const others = gateway.gateways().filter(({ nodeId }) => nodeId !== gateway.nodeId);
      const absent: string[] = [];
      const gathered = await Promise.all(
        others.map(async ({ nodeName }) => {
          try {
            return parsePart(await gateway.call(nodeName, evidenceTopic, null, gatherWaitMs));
          } catch {
            absent.push(nodeName);
            return undefined;
          }
        }),
      );
      const known = gathered.filter((part) => part !== undefined);
      return snapshotOfParts([ownEvidence(), ...known], absent.toSorted());
    },
    verify: async (of, prefix, onDone) => {
      if (source === undefined) {
        const nowMs = clock.now();
        const none = { compared: 0, matched: 0, transient: 0, persistent: 0, indeterminate: 0, unchecked: 0 };
        const shared = { of, prefix, startedMs: nowMs, finishedMs: nowMs, throughIndex: 0, ...none };
        const failure = 'this gateway has no source configured';
        return { ...shared, kinds: {}, longestOpenMs: 0, filtered: false, ignored: {}, failure };
      }
      const result = await verify(
        {
          ...{ gateway, source, here, recheckDelaysMs, gatewayNodes },
          token: settings.source?.token ?? '',
          address: settings.source?.addresses[0] ?? 'the source',
          before: () => lane.token(),
          signal: lane.signal,
          ...(onDone === undefined ? {} : { onDone }),
        },
        of,
        prefix,
      );
      parts.evidence.sweep(result);
      return result;
    },
    ramp: (to) => {
      percent = Math.min(100, Math.max(0, to));
      parts.evidence.setSampling(sampling());
    },
    idle: async () => {
      await intake.idle();
      await lane.idle();
    },
  };
}

const caveats = [
  'A client is a token and an address: processes of one host that share a token count as one.',
  'Session guarantees, histories and staleness are judged by what passed through the gateway that judges, as far as it had time to look.',
  'After a cutover nothing is compared, and writes are not held against later reads.',
  'Session guarantees are checked on reads of single keys; index regressions on every compared read.',
] as const;
