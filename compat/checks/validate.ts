import { err, ok, type Result } from '../../src/kernel/result.ts';
import { type CheckDefinition, isEmptyCheck } from './definition.ts';
import { checkKind, isAlias, isScript } from './probe.ts';
import { isCheckStatus } from './thresholds.ts';

/** An answer to a registration that is refused: HTTP status and body, as Consul 1.8.7 words it. */
export type CheckRefusal = { readonly status: 400 | 500; readonly body: string };

export type CheckPolicy = {
  /** `enable_script_checks`: scripts may be registered over HTTP. */
  readonly remoteScripts: boolean;
};

/** What is wrong with a definition, without the prefix `Invalid check: ` that both register endpoints put. */
export function checkProblem(definition: CheckDefinition): string | undefined {
  const { intervalNs, ttlNs } = definition;
  const needsInterval =
    isScript(definition) ||
    definition.http !== '' ||
    definition.tcp !== '' ||
    definition.udp !== '' ||
    definition.grpc !== '' ||
    definition.h2ping !== '' ||
    definition.osService !== '';
  if (intervalNs > 0 && ttlNs > 0) return 'Interval and TTL cannot both be specified';
  if (needsInterval && intervalNs <= 0) return 'Interval must be > 0 for Script, HTTP, or TCP checks';
  if (needsInterval && isAlias(definition)) return 'Interval cannot be set for Alias checks';
  if (isAlias(definition) && ttlNs > 0) return 'TTL must be not be set for Alias checks';
  if (!needsInterval && !isAlias(definition) && ttlNs <= 0) return 'TTL must be > 0 for TTL checks';
  if (definition.outputMaxSize < 0) return 'MaxOutputMaxSize must be positive';
  if (definition.failuresBeforeWarning > definition.failuresBeforeCritical) {
    return "FailuresBeforeWarning can't be higher than FailuresBeforeCritical";
  }
  return refusedKind(definition);
}

/** Kinds that Consul runs and this gateway does not: refused, never taken and left unrun. */
function refusedKind(definition: CheckDefinition): string | undefined {
  switch (checkKind(definition)) {
    case 'docker':
      return 'Docker checks are not supported by this gateway; use a script check that runs docker exec';
    case 'h2ping':
      return 'H2PING checks are not supported by this gateway; use a GRPC or TCP check';
    case 'os-service':
      return 'OSService checks are not supported by this gateway; use a script check';
    default:
      return undefined;
  }
}

/** Scripts from the network are off by default, as in Consul: they are remote code execution. */
function scriptRefusal(definition: CheckDefinition, policy: CheckPolicy): CheckRefusal | undefined {
  if (!isScript(definition) || policy.remoteScripts) return undefined;
  return {
    status: 500,
    body: "Scripts are disabled on this agent from remote calls; to enable, configure 'enable_script_checks' to true",
  };
}

/**
 * Judges `/v1/agent/check/register`, in Consul's order; gives the check with its id filled in. That the
 * service named by `serviceId` exists is for the caller to see (500 `ServiceID "x" does not exist`), after this.
 */
export function admitCheck(
  definition: CheckDefinition,
  policy: CheckPolicy,
): Result<CheckDefinition, CheckRefusal> {
  if (definition.name === '') return err({ status: 400, body: 'Missing check name' });
  if (definition.status !== '' && !isCheckStatus(definition.status)) {
    return err({ status: 400, body: 'Bad check status' });
  }
  const problem = checkProblem(definition);
  if (problem !== undefined) return err({ status: 400, body: `Invalid check: ${problem}` });
  const refusal = scriptRefusal(definition, policy);
  if (refusal !== undefined) return err(refusal);
  return ok({ ...definition, checkId: definition.checkId === '' ? definition.name : definition.checkId });
}

/**
 * Judges the checks of `/v1/agent/service/register`: `check` is its `Check`, `checks` its `Checks`. Gives them
 * with ids, names and service id filled in: `service:<id>`, and `service:<id>:<n>` from 1 when there are several.
 */
export function admitServiceChecks(
  service: { readonly id: string; readonly name: string },
  check: CheckDefinition | undefined,
  checks: readonly CheckDefinition[],
  policy: CheckPolicy,
): Result<readonly CheckDefinition[], CheckRefusal> {
  const given = check === undefined || isEmptyCheck(check) ? checks : [check, ...checks];
  for (const definition of given) {
    const problem = checkProblem(definition);
    if (problem !== undefined) return err({ status: 400, body: `Invalid check: ${problem}` });
  }
  if (given.some(({ status }) => status !== '' && !isCheckStatus(status))) {
    return err({ status: 400, body: "Status for checks must 'passing', 'warning', 'critical'" });
  }
  const refusal = given
    .map((definition) => scriptRefusal(definition, policy))
    .find((one) => one !== undefined);
  if (refusal !== undefined) return err(refusal);
  return ok(
    given.map((definition, position) => ({
      ...definition,
      checkId: definition.checkId || serviceCheckId(service.id, position, given.length),
      name: definition.name || `Service '${service.name}' check`,
      serviceId: service.id,
    })),
  );
}

function serviceCheckId(serviceId: string, position: number, count: number): string {
  return count > 1 ? `service:${serviceId}:${position + 1}` : `service:${serviceId}`;
}

/** The 500 for a beat on a check that is unknown or has no TTL (1.8.7 does not tell them apart). */
export function noTtlText(checkId: string): string {
  return `CheckID ${JSON.stringify(checkId)} does not have associated TTL`;
}
