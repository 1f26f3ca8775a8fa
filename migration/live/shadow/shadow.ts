import type { RouteContext } from '../../../compat/routes/context.ts';
import type { Route } from '../../../compat/routes/route.ts';
import {
  authorityOf,
  isCompared,
  isDual,
  type MigrationKind,
  type PhaseRule,
} from '../../../src/state/migration.ts';
import { Evidence } from '../../evidence/evidence.ts';
import type {
  CellKey,
  EvidencePart,
  EvidenceSnapshot,
  Sampling,
  SweepEvidence,
} from '../../evidence/snapshot.ts';
import { sumCells } from '../../evidence/sums.ts';
import type { Acknowledged, EvidenceSink, LivePart, Observed, PartContext } from '../ports.ts';
import { AgreementProbe } from './agreement.ts';
import { Comparisons } from './comparisons.ts';
import type { EvidenceStore } from './evidence-file.ts';
import { factsOf } from './facts.ts';
import { HeldVersions } from './held-versions.ts';
import { openHere } from './here-reader.ts';
import { shadowRulesHash, shadowRulesVersion } from './ignore.ts';
import { Lane } from './lane.ts';
import { shadowLimits } from './limits.ts';
import { parsePart, snapshotOfParts } from './part-form.ts';
import { questionOf, type Question } from './question.ts';
import { Redactor } from './redactor.ts';
import { isSampled } from './sampling.ts';
import { SharedSecret } from './secret.ts';
import { Sightings } from './sightings.ts';
import type { SourceAsk } from './source-reader.ts';
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
}

export interface Shadow extends LivePart, EvidenceSink {
  /** This gateway's evidence now. */
  ownEvidence(): EvidencePart;
  /** That of all gateways, asked now. Never rejects: who does not answer is named in `absent`. */
  gatherEvidence(): Promise<EvidenceSnapshot>;
  /** Compares everything under a rule, both ways, and adds what comes of it to the evidence. Never rejects. */
  verify(
    of: MigrationKind,
    prefix: string,
    onProgress?: (done: number, total: number) => void,
  ): Promise<SweepEvidence>;
  /** How many of all keys are looked at, in percent. */
  ramp(percent: number): void;
  /** Resolves when nothing that was observed waits to be compared for the first time. */
  idle(): Promise<void>;
}

const evidenceTopic = 'evidence';
const gatherWaitMs = 5_000;
const tickMs = 250;
const intakeMax = 4_096;
/** How long all else waits for the fleet's secret. */
const secretWaitMs = 2_500;

interface Taken {
  readonly observed: Observed;
  readonly question: Question;
  readonly at: CellKey;
  readonly startMs: number;
  readonly endMs: number;
}

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
  const gatewayNodes = (): ReadonlySet<string> =>
    new Set(gateway.gateways().map(({ nodeName }) => nodeName.toLowerCase()));

  /** The rule that an answer counts under; undefined: none, or several that are not all alike. */
  const ruleOf = (question: Question): PhaseRule | undefined => {
    if (question.of === 'catalog') return phases.catalog;
    if (question.key !== undefined) return phases.ofKey(question.key);
    const rules = phases.under(question.subject);
    return rules.every(({ phase }) => phase === rules[0]?.phase) ? rules[0] : undefined;
  };

  /** Everything that counts, made anew around what was kept when the part starts. */
  const open = (evidence: Evidence) => {
    const sightings = new Sightings(monoMs());
    return {
      evidence,
      sightings,
      witness: new Witness({
        evidence,
        redactor,
        held,
        ruleOf: (key) => phases.ofKey(key) ?? phases.rules[0],
        clock,
        linearizablePercent,
      }),
      comparisons:
        source === undefined
          ? undefined
          : new Comparisons({
              ...{ evidence, redactor, lane, source, here, held, sightings, gatewayNodes, clock, monoMs },
              isWanted: (question) => isCompared(ruleOf(question)?.phase ?? 'final'),
              random: gateway.random,
              recheckDelaysMs,
              noisePercent,
            }),
    };
  };
  let parts = open(begin(clock.now()));
  let secretOfDisk = false;
  const visibility = new Visibility(gateway, () => parts.evidence, held);
  const agreement = new AgreementProbe(gateway, () => parts.evidence);
  gateway.serve(evidenceTopic, () => Promise.resolve(ownEvidence()));
  const secret = new SharedSecret(gateway, redactor, () => secretOfDisk);

  const intake: Taken[] = [];
  const stops: (() => void)[] = [];
  const working: Promise<unknown>[] = [];
  let isReady = false;
  let draining = false;
  let drained: (() => void)[] = [];
  let orderOfVersions = '';

  const { counter, gauge } = gateway.metrics;
  const countDropped = counter('shadow.dropped');
  const countObserved = counter('shadow.sampled');
  gauge('shadow.waiting', () => lane.waiting + intake.length);
  gauge('shadow.open', () => parts.comparisons?.open ?? 0);

  const ownEvidence = (): EvidencePart => {
    parts.evidence.setSampling(sampling());
    return parts.evidence.part(clock.now());
  };

  const drop = (at: CellKey): void => {
    countDropped();
    parts.evidence.dropped(at, clock.now());
  };

  const take = (observed: Observed): void => {
    const question = questionOf(observed.request, gateway.datacenter);
    const rule = question && ruleOf(question);
    if (question === undefined || rule === undefined) return;
    const { of, prefix, phase } = rule;
    const at: CellKey = { of, prefix, phase, endpoint: question.endpoint };
    parts.evidence.read(at);
    if (!question.blocking) parts.evidence.latency(at, observed.answeredBy, observed.tookMs);
    if (!(isDual(phase) || authorityOf(phase) === 'here')) return;
    if (!isSampledKey(question.subject)) return;
    if (observed.status >= 500) return parts.evidence.failed(at, observed.answeredBy, clock.now());
    // Refusals (ACLs, parameters) are the source's to make: there is nothing to compare.
    if (observed.status !== 200 && observed.status !== 404) return undefined;
    if (!isReady) return undefined;
    countObserved();
    if (intake.length >= intakeMax || observed.body.length > shadowLimits.answerBytesMax) return drop(at);
    const endMs = monoMs();
    intake.push({ observed, question, at, startMs: endMs - observed.tookMs, endMs });
    if (draining) return undefined;
    draining = true;
    // After what the event loop has to do for clients.
    setImmediate(drain);
    return undefined;
  };

  const drain = (): void => {
    for (const taken of intake.splice(0, 64)) quietly(() => look(taken));
    if (intake.length > 0) {
      setImmediate(drain);
      return;
    }
    draining = false;
    for (const resolve of drained.splice(0)) resolve();
  };

  const look = ({ observed, question, at, startMs, endMs }: Taken): void => {
    const { evidence, sightings, witness, comparisons } = parts;
    const { answeredBy, status, index, body, contentType } = observed;
    const versionHere = (key: string, shown: number): number | undefined => held.shown(key, shown);
    const facts = factsOf(
      question,
      { status, index, body, contentType },
      { gatewayNodes: gatewayNodes(), ...(answeredBy === 'here' ? { versionHere } : {}) },
    );
    if (facts === undefined) return evidence.failed(at, answeredBy, clock.now());
    const { key } = question;
    const version = key === undefined ? undefined : facts.entries.get(key)?.version;
    if (key !== undefined && version !== undefined && answeredBy === 'source') {
      // Of one that waited the beginning tells nothing.
      sightings.saw(key, version, question.blocking ? endMs : startMs, endMs, false);
    }
    witness.read(question, at, observed, facts, startMs, endMs);
    if (!isCompared(at.phase) || comparisons === undefined) return undefined;
    evidence.sampled(at, redactor.keyId(question.of, question.subject));
    const asked = Number(observed.request.query.get('index'));
    const woken = question.blocking && index > asked;
    comparisons.offer({ question, at, answeredBy, facts, startMs, endMs, woken });
    if (key !== undefined && gateway.random() * 100 < agreementPercent) {
      lane.offer(() => agreement.ask(at, key));
    }
    return undefined;
  };

  const acknowledged = (write: Acknowledged): void => {
    const rule = phases.ofKey(write.key);
    if (rule === undefined) return;
    const { evidence, sightings, witness } = parts;
    evidence.wrote(rule);
    if (!isReady || !isSampledKey(write.key)) return;
    sightings.saw(write.key, write.index, write.sourceMs, write.sourceMs, true);
    witness.wrote(write);
    const ownMs = Math.max(0, write.hereMs - write.sourceMs);
    evidence.visible(rule, 'own', ownMs, ownMs);
    if (!visibility.watch(rule, write.key, write.index, write.sourceMs)) {
      evidence.note('Not every write was watched on its way to the other gateways: there were too many.');
    }
  };

  /** Evidence must never hurt what it is about. */
  const quietly = (work: () => void): void => {
    try {
      work();
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      gateway.log.error({ why }, 'evidence was lost by a defect');
      parts.evidence.note(`Evidence was lost by a defect: ${why.slice(0, 200)}`);
    }
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

  const save = async (): Promise<void> => {
    try {
      const kept = { secret: redactor.secret.toString('hex'), part: ownEvidence() };
      await options.store?.save(JSON.stringify(kept));
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      gateway.log.warn({ why }, 'evidence could not be written down');
    }
  };

  const restore = async (): Promise<void> => {
    let before: EvidencePart | undefined;
    try {
      const text = await options.store?.load();
      if (text !== undefined) {
        const kept = JSON.parse(text) as { secret?: unknown; part?: unknown };
        before = parsePart(kept.part);
        if (typeof kept.secret === 'string' && /^[0-9a-f]{64}$/.test(kept.secret)) {
          redactor.adopt(Buffer.from(kept.secret, 'hex'));
          secretOfDisk = true;
        }
      }
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      gateway.log.warn({ why }, 'the evidence of before could not be read: a new one begins');
    }
    if (!secretOfDisk) await Promise.race([secret.settle(), clock.sleep(secretWaitMs, lane.signal)]);
    // What was counted while that was read is little, and is given up.
    const mine = before?.gateway.id === gateway.nodeId ? before : undefined;
    parts = open(begin(Math.max(clock.now(), (mine?.epoch ?? 0) + 1), mine));
    for (const caveat of caveats) parts.evidence.note(caveat);
    isReady = true;
  };

  const run = async (): Promise<void> => {
    await restore();
    let savedMs = monoMs();
    while (!lane.signal.aborted) {
      // oxlint-disable-next-line no-await-in-loop -- that is what a loop of ticks does
      await clock.sleep(tickMs, lane.signal);
      visibility.tick();
      quietly(() => parts.witness.tick(monoMs()));
      if (monoMs() - savedMs < shadowLimits.persistEveryMs) continue;
      // oxlint-disable-next-line no-await-in-loop -- one after the other
      await save();
      savedMs = monoMs();
    }
  };

  return {
    observed: (observed) => quietly(() => take(observed)),
    acknowledged: (write) => quietly(() => acknowledged(write)),
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
      if (isReady) await save();
    },
    status: () => {
      const { counts } = sumCells(ownEvidence().cells);
      return {
        ...counts,
        percent,
        waiting: lane.waiting + intake.length,
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
    verify: async (of, prefix, onProgress) => {
      if (source === undefined) {
        const nowMs = clock.now();
        const none = { compared: 0, matched: 0, transient: 0, persistent: 0, indeterminate: 0, unchecked: 0 };
        const shared = { of, prefix, startedMs: nowMs, finishedMs: nowMs, throughIndex: 0, ...none };
        const failure = 'this gateway has no source configured';
        return { ...shared, kinds: {}, longestOpenMs: 0, filtered: false, ignored: {}, failure };
      }
      const result = await verify(
        {
          ...{ gateway, source, here, recheckDelaysMs },
          token: settings.source?.token ?? '',
          address: settings.source?.addresses[0] ?? 'the source',
          before: () => lane.token(),
          signal: lane.signal,
          ...(onProgress === undefined ? {} : { onProgress }),
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
      if (draining) await new Promise<void>((resolve) => drained.push(resolve));
      await lane.idle();
    },
  };
}

const caveats = [
  'A client is a token and an address: processes of one host that share a token count as one.',
  'Session guarantees, histories and staleness are judged by what passed through the gateway that judges.',
  'Session guarantees are checked on reads of single keys; index regressions on every compared read.',
] as const;
