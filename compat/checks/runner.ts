import { assert, must } from '../../src/kernel/assert.ts';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import { type Nanoseconds, nsPerMs } from '../wire/go-duration.ts';
import { type AliasTarget, type AliasView, evaluateAlias } from './alias.ts';
import { type CheckDefinition, sameDefinition } from './definition.ts';
import { Limiter } from './limiter.ts';
import { clip, outputBytesMaxDefault } from './output.ts';
import {
  type CheckResult,
  observeResult,
  publishDue,
  startThrottle,
  type ThrottleState,
  updateIntervalMsDefault,
} from './output-throttle.ts';
import { type RunnerPorts, systemPorts } from './ports.ts';
import { checkKind, type CheckKind, type Probe } from './probe.ts';
import { grpcProbe } from './probe-grpc.ts';
import { httpProbe } from './probe-http.ts';
import { scriptProbe } from './probe-script.ts';
import { tcpProbe } from './probe-tcp.ts';
import { udpProbe } from './probe-udp.ts';
import { type ReapDue, reapScanMs, servicesDue } from './reap.ts';
import { type CheckStatus, countResult, startThresholds, type ThresholdState } from './thresholds.ts';
import { beatTtl, expireTtl, startTtl, type TtlState } from './ttl.ts';
import { noTtlText } from './validate.ts';

/** A change of what a check shows locally. Nothing is reported when neither status nor output changed. */
export type CheckUpdate = {
  readonly checkId: string;
  readonly status: CheckStatus;
  readonly output: string;
  readonly statusChanged: boolean;
  /**
   * Whether to write it to the catalog now. False: show it in the agent's own answers only; an update with
   * the same values and `publish: true` follows when the throttle allows.
   */
  readonly publish: boolean;
};

/** Where aliases look. Views are read anew after each call of `changed`; calls may come too often. */
export interface AliasSource {
  view(target: AliasTarget): AliasView;
  /** `changed` must not be called before `subscribe` returns. The returned function ends the subscription. */
  subscribe(target: AliasTarget, changed: () => void): () => void;
}

/** Kinds that run on an interval, each with the maker of its probe. */
export type ProbeKind = 'http' | 'tcp' | 'udp' | 'grpc' | 'script';
export type ProbeMaker = (definition: CheckDefinition, outputBytesMax: number) => Probe;

export const systemProbes: Readonly<Record<ProbeKind, ProbeMaker>> = {
  http: httpProbe,
  tcp: tcpProbe,
  udp: udpProbe,
  grpc: grpcProbe,
  script: scriptProbe,
};

export type CheckRunnerOptions = {
  readonly onUpdate: (update: CheckUpdate) => void;
  /** Called every 30 s while some check has DeregisterCriticalServiceAfter and a service is due. */
  readonly onServicesDue?: (due: readonly ReapDue[]) => void;
  readonly aliases: AliasSource;
  readonly ports?: RunnerPorts;
  readonly probes?: Readonly<Record<ProbeKind, ProbeMaker>>;
  /**
   * Whether script checks may run at all (`enable_script_checks` or `enable_local_script_checks`). One that
   * comes from disk after the option was turned off goes critical instead of running.
   */
  readonly scripts: boolean;
  /** `check_output_max_size`; a check's own OutputMaxSize can only lower it. */
  readonly outputBytesMax?: number;
  /** `check_update_interval`; 0 publishes every output. */
  readonly updateIntervalMs?: number;
  /** `discard_check_output`: see `CheckRunner.discardOutput`. */
  readonly discardOutput?: boolean;
  /** Network probes in flight at once, all checks together (guess). */
  readonly networkProbesMax?: number;
  /** Script processes at once (guess). */
  readonly scriptsMax?: number;
};

/** Consul's shortest interval. */
const intervalNsMin = 1e9;
/** An alias looks again this often even when nobody told it of a change, as Consul's do. */
const aliasRefreshMs = 60_000;
/** What a probe may add around a bounded body: URL, address, status line. */
const outputFrameBytesMax = 2048;

type Running = {
  readonly checkId: string;
  readonly definition: CheckDefinition;
  readonly kind: CheckKind | undefined;
  readonly outputBytesMax: number;
  readonly abort: AbortController;
  thresholds: ThresholdState;
  throttle: ThrottleState;
  ttl: TtlState | undefined;
  criticalSinceMs: number | undefined;
  cancelNext: () => void;
  cancelPublish: () => void;
  unsubscribe: () => void;
};

const nothing = (): void => undefined;

/**
 * Runs the checks of an agent. Each check has one schedule and at most one run in flight, across replacement
 * too. All methods return at once; results arrive through `onUpdate`, never from within a call of `start`,
 * `replace` or `stop`, except that a TTL beat reports before `beat` returns.
 */
export class CheckRunner {
  readonly #options: CheckRunnerOptions;
  readonly #ports: RunnerPorts;
  readonly #probes: Readonly<Record<ProbeKind, ProbeMaker>>;
  readonly #outputBytesMax: number;
  readonly #updateIntervalMs: number;
  readonly #network: Limiter;
  readonly #scripts: Limiter;
  readonly #checks = new Map<string, Running>();
  /** Runs that were cancelled and may still hold their target; the next run of that id waits for them. */
  readonly #draining = new Map<string, Promise<void>>();
  #cancelReap: () => void = nothing;
  #reaping = false;
  /** Outputs are dropped, only statuses count; what is shown already stays. */
  discardOutput: boolean;

  constructor(options: CheckRunnerOptions) {
    this.#options = options;
    this.#ports = options.ports ?? systemPorts;
    this.#probes = options.probes ?? systemProbes;
    this.#outputBytesMax = options.outputBytesMax || outputBytesMaxDefault;
    this.#updateIntervalMs = options.updateIntervalMs ?? updateIntervalMsDefault;
    this.discardOutput = options.discardOutput ?? false;
    this.#network = new Limiter(options.networkProbesMax ?? 512);
    this.#scripts = new Limiter(options.scriptsMax ?? 32);
  }

  has(checkId: string): boolean {
    return this.#checks.has(checkId);
  }

  /** What the check shows in the agent's own answers: newer than the catalog while an output waits. */
  shown(checkId: string): CheckResult | undefined {
    return this.#checks.get(checkId)?.throttle.local;
  }

  definition(checkId: string): CheckDefinition | undefined {
    return this.#checks.get(checkId)?.definition;
  }

  /**
   * Starts a validated check that is not running. `shown` is what the catalog has for it now (a new check:
   * its registered status or critical, with empty output); it is not reported again.
   */
  start(checkId: string, definition: CheckDefinition, shown: CheckResult): void {
    assert(!this.#checks.has(checkId), `check ${checkId} runs already`);
    const own = definition.outputMaxSize;
    const running: Running = {
      checkId,
      definition,
      kind: checkKind(definition),
      outputBytesMax: own > 0 ? Math.min(own, this.#outputBytesMax) : this.#outputBytesMax,
      abort: new AbortController(),
      thresholds: startThresholds(definition),
      throttle: startThrottle(shown),
      ttl: undefined,
      criticalSinceMs: undefined,
      cancelNext: nothing,
      cancelPublish: nothing,
      unsubscribe: nothing,
    };
    this.#checks.set(checkId, running);
    this.#begin(running);
    if (definition.deregisterCriticalServiceAfterNs > 0) this.#armReap();
  }

  /**
   * Puts a definition in the place of another, or starts it. The same definition again keeps its schedule:
   * a client that registers more often than the interval must not keep its check from running. A TTL starts
   * anew in either case, as in Consul.
   */
  replace(checkId: string, definition: CheckDefinition, shown: CheckResult): void {
    const present = this.#checks.get(checkId);
    if (present !== undefined && present.kind !== 'ttl' && sameDefinition(present.definition, definition)) {
      if (!sameResult(present.throttle.published, shown)) {
        if (shown.status !== 'critical') present.criticalSinceMs = undefined;
        this.#setThrottle(present, startThrottle(shown));
      }
      return;
    }
    this.stop(checkId);
    this.start(checkId, definition, shown);
  }

  /** Stops a check and cancels its run; unknown ids are ignored. Nothing is reported of it any more. */
  stop(checkId: string): void {
    const running = this.#checks.get(checkId);
    if (running === undefined) return;
    this.#checks.delete(checkId);
    running.cancelNext();
    running.cancelPublish();
    running.unsubscribe();
    running.abort.abort();
  }

  /** Stops all checks; resolves when no run holds anything any more. */
  async stopAll(): Promise<void> {
    for (const checkId of this.#checks.keys()) this.stop(checkId);
    this.#cancelReap();
    this.#reaping = false;
    await Promise.all(this.#draining.values());
  }

  /** A client's word on a TTL check. The error is the body of the 500 that Consul answers. */
  beat(checkId: string, status: CheckStatus, output: string): Result<CheckResult, string> {
    const running = this.#checks.get(checkId);
    if (running === undefined || running.kind !== 'ttl') return err(noTtlText(checkId));
    const ttlMs = running.definition.ttlNs / nsPerMs;
    const beat = beatTtl(this.#ports.nowMs(), ttlMs, output, running.outputBytesMax);
    running.ttl = beat.state;
    this.#armTtl(running);
    this.#report(running, { status, output: beat.output });
    return ok(running.throttle.local);
  }

  /** The services that were critical for longer than a check of theirs allows. */
  servicesDue(): readonly ReapDue[] {
    return servicesDue(this.#ports.nowMs(), this.#reapEntries());
  }

  *#reapEntries() {
    for (const { checkId, definition, criticalSinceMs } of this.#checks.values()) {
      const { serviceId, deregisterCriticalServiceAfterNs } = definition;
      yield { checkId, serviceId, deregisterCriticalServiceAfterNs, criticalSinceMs };
    }
  }

  #armReap(): void {
    if (this.#reaping || this.#options.onServicesDue === undefined) return;
    this.#reaping = true;
    this.#cancelReap = this.#ports.setTimer(reapScanMs, () => {
      this.#reaping = false;
      const due = this.servicesDue();
      const left = [...this.#checks.values()].some(
        ({ definition }) => definition.deregisterCriticalServiceAfterNs > 0,
      );
      if (left) this.#armReap();
      if (due.length > 0) this.#options.onServicesDue?.(due);
    });
  }

  #begin(running: Running): void {
    switch (running.kind) {
      case 'ttl':
        running.ttl = startTtl(this.#ports.nowMs(), running.definition.ttlNs / nsPerMs);
        this.#armTtl(running);
        return;
      case 'alias':
        this.#beginAlias(running);
        return;
      case 'http':
      case 'tcp':
      case 'udp':
      case 'grpc':
        this.#beginProbe(running, this.#probes[running.kind], this.#network);
        return;
      case 'script':
        this.#beginProbe(running, this.#options.scripts ? this.#probes.script : scriptsOff, this.#scripts);
        return;
      case 'docker':
      case 'h2ping':
      case 'os-service':
      case undefined:
        // Registration refuses these; one that came from disk shows that it cannot run.
        this.#beginProbe(running, unsupported, this.#network);
        return;
    }
  }

  #armTtl(running: Running): void {
    running.cancelNext();
    const { deadlineMs } = must(running.ttl, 'a TTL check has its clock');
    if (deadlineMs === undefined) return;
    const leftMs = Math.max(0, deadlineMs - this.#ports.nowMs());
    running.cancelNext = this.#ports.setTimer(leftMs, () => {
      const expired = expireTtl(must(running.ttl), this.#ports.nowMs());
      if (expired === undefined) {
        this.#armTtl(running);
        return;
      }
      running.ttl = expired.state;
      this.#report(running, expired);
    });
  }

  #beginAlias(running: Running): void {
    const { aliasNode, aliasService } = running.definition;
    const target: AliasTarget = { node: aliasNode, serviceId: aliasService };
    const look = (): void => {
      running.cancelNext();
      if (this.#checks.get(running.checkId) !== running) return;
      this.#report(running, evaluateAlias(running.checkId, target, this.#options.aliases.view(target)));
      running.cancelNext = this.#ports.setTimer(aliasRefreshMs, look);
    };
    // Changes come in bursts, and a report may itself be a change: one look per turn is enough.
    const lookSoon = (): void => {
      running.cancelNext();
      running.cancelNext = this.#ports.setTimer(0, look);
    };
    running.unsubscribe = this.#options.aliases.subscribe(target, lookSoon);
    lookSoon();
  }

  #beginProbe(running: Running, make: ProbeMaker, limiter: Limiter): void {
    const intervalMs = intervalOf(running.definition) / nsPerMs;
    const probe = make(running.definition, running.outputBytesMax);
    const schedule = (afterMs: number): void => {
      running.cancelNext = this.#ports.setTimer(afterMs, () => {
        void this.#run(running, probe, limiter, () => schedule(intervalMs));
      });
    };
    // A random part of the interval first: checks registered together do not run together.
    schedule(this.#ports.random() * intervalMs);
  }

  async #run(running: Running, probe: Probe, limiter: Limiter, next: () => void): Promise<void> {
    const { checkId } = running;
    const { signal } = running.abort;
    await this.#draining.get(checkId);
    if (signal.aborted) return;
    let free: () => void = nothing;
    const drained = new Promise<void>((resolve) => {
      free = resolve;
    });
    this.#draining.set(checkId, drained);
    try {
      await limiter.run(signal, async () => {
        if (signal.aborted) return;
        const result = await runSafely(probe, signal);
        if (!signal.aborted) this.#count(running, result);
        await result.settled;
      });
    } finally {
      this.#draining.delete(checkId);
      free();
    }
    if (!signal.aborted) next();
  }

  #count(running: Running, result: CheckResult): void {
    const counted = countResult(running.definition, running.thresholds, result.status);
    running.thresholds = counted.state;
    if (counted.status === undefined) return;
    this.#report(running, { status: counted.status, output: result.output });
  }

  #report(running: Running, seen: CheckResult): void {
    const discard = this.discardOutput;
    const output = discard ? '' : clip(seen.output, running.outputBytesMax + outputFrameBytesMax);
    const result: CheckResult = { status: seen.status, output };
    const nowMs = this.#ports.nowMs();
    if (result.status !== 'critical') running.criticalSinceMs = undefined;
    else running.criticalSinceMs ??= nowMs;
    const before = running.throttle.local;
    const { state, verdict } = observeResult(
      running.throttle,
      result,
      nowMs,
      this.#ports.random(),
      this.#updateIntervalMs,
    );
    if (verdict === 'same') return;
    this.#setThrottle(running, state);
    this.#options.onUpdate({
      checkId: running.checkId,
      ...result,
      statusChanged: before.status !== result.status,
      publish: verdict === 'publish',
    });
  }

  /** Takes a state over and keeps one timer for its late write. */
  #setThrottle(running: Running, state: ThrottleState): void {
    const { dueMs } = state;
    const rearm = dueMs !== running.throttle.dueMs;
    running.throttle = state;
    if (!rearm) return;
    running.cancelPublish();
    running.cancelPublish = nothing;
    if (dueMs === undefined) return;
    running.cancelPublish = this.#ports.setTimer(Math.max(0, dueMs - this.#ports.nowMs()), () => {
      const published = publishDue(running.throttle, Math.max(dueMs, this.#ports.nowMs()));
      if (published === undefined) return;
      running.throttle = published;
      const update = { checkId: running.checkId, ...published.local };
      this.#options.onUpdate({ ...update, statusChanged: false, publish: true });
    });
  }
}

function sameResult(a: CheckResult, b: CheckResult): boolean {
  return a.status === b.status && a.output === b.output;
}

function intervalOf(definition: CheckDefinition): Nanoseconds {
  return Math.max(definition.intervalNs, intervalNsMin);
}

/** A probe that throws has a bug; the check shows it and the others go on. */
async function runSafely(probe: Probe, signal: AbortSignal): ReturnType<Probe> {
  try {
    return await probe(signal);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { status: 'critical', output: `check failed to run: ${reason}` };
  }
}

function scriptsOff(): Probe {
  const output = 'Scripts are disabled on this agent';
  return () => Promise.resolve({ status: 'critical', output });
}

function unsupported(): Probe {
  return () => Promise.resolve({ status: 'critical', output: 'Checks of this kind are not supported' });
}
