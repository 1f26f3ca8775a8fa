import type { CheckDefinition } from './definition.ts';
import type { CheckStatus } from './thresholds.ts';

/** What a check does when it runs. `docker`, `h2ping` and `os-service` are known and refused. */
export type CheckKind =
  | 'ttl'
  | 'http'
  | 'tcp'
  | 'udp'
  | 'grpc'
  | 'script'
  | 'alias'
  | 'docker'
  | 'h2ping'
  | 'os-service';

/** The outcome of one run. `settled`: what the run left behind (a killed process) is gone. */
export type ProbeResult = {
  readonly status: CheckStatus;
  readonly output: string;
  readonly settled?: Promise<void>;
};

/**
 * One run of a check. Resolves with a result for every expected outcome, failures and timeouts included;
 * after `signal` aborts it frees what it holds and its result is ignored.
 */
export type Probe = (signal: AbortSignal) => Promise<ProbeResult>;

export function isScript(definition: CheckDefinition): boolean {
  return definition.args.length > 0;
}

export function isAlias(definition: CheckDefinition): boolean {
  return definition.aliasNode !== '' || definition.aliasService !== '';
}

/**
 * The `Type` that agent and health answers show. When several probes are given Consul shows the first of
 * this order, which is not the order in which it picks the one to run.
 */
export function checkType(definition: CheckDefinition): string {
  const timed = definition.intervalNs > 0;
  if (definition.grpc !== '' && timed) return 'grpc';
  if (definition.http !== '' && timed) return 'http';
  if (definition.ttlNs > 0) return 'ttl';
  if (definition.tcp !== '' && timed) return 'tcp';
  if (definition.udp !== '' && timed) return 'udp';
  if (isAlias(definition)) return 'alias';
  if (isScript(definition)) return definition.dockerContainerId !== '' && timed ? 'docker' : 'script';
  if (definition.h2ping !== '' && timed) return 'h2ping';
  if (definition.osService !== '' && timed) return 'os_service';
  return '';
}

/** What runs, of a definition that passed validation; undefined when it names nothing to run. */
export function checkKind(definition: CheckDefinition): CheckKind | undefined {
  if (definition.ttlNs > 0) return 'ttl';
  if (definition.http !== '') return 'http';
  if (definition.tcp !== '') return 'tcp';
  if (definition.udp !== '') return 'udp';
  if (definition.grpc !== '') return 'grpc';
  if (isScript(definition)) return definition.dockerContainerId === '' ? 'script' : 'docker';
  if (definition.h2ping !== '') return 'h2ping';
  if (definition.osService !== '') return 'os-service';
  if (isAlias(definition)) return 'alias';
  return undefined;
}
