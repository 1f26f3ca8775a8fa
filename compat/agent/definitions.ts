import { err, ok, type Result } from '../../src/kernel/result.ts';
import type { CheckDefinition } from '../checks/definition.ts';
import type { AgentConfig } from '../config/agent-config.ts';
import type { JsonObject } from '../wire/go-json.ts';
import {
  admitCheckBody,
  admitService,
  type RegistrationRefusal,
  type ServiceRegistration,
} from './registration.ts';

/** What the configuration says of services and checks. */
export type DefinitionsConfig = Pick<AgentConfig, 'services' | 'checkDefinitions' | 'checks'>;

/** Services and checks of the configuration, judged. A check may still name a service that is not there. */
export interface Definitions {
  readonly services: readonly Omit<ServiceRegistration, 'replaceChecks'>[];
  readonly checks: readonly CheckDefinition[];
}

/** Reads the definitions of the configuration. The error is a sentence that names the service or check. */
export function readDefinitions(config: DefinitionsConfig): Result<Definitions, string> {
  const policy = { remoteScripts: config.checks.enableScriptChecks || config.checks.enableLocalScriptChecks };
  const services: Definitions['services'][number][] = [];
  for (const value of config.services) {
    const admitted = admitService(value, 'config', policy);
    if (!admitted.ok) return err(`Failed to register service ${nameOf(value)}: ${textOf(admitted.error)}`);
    services.push(admitted.value);
  }
  const checks: CheckDefinition[] = [];
  for (const value of config.checkDefinitions) {
    const admitted = admitCheckBody(value, 'config', policy);
    if (!admitted.ok) return err(`Failed to register check ${nameOf(value)}: ${textOf(admitted.error)}`);
    checks.push(admitted.value.check);
  }
  return ok({ services, checks });
}

function nameOf(value: JsonObject): string {
  return JSON.stringify(value['id'] ?? value['name'] ?? '');
}

function textOf(refusal: RegistrationRefusal): string {
  return refusal.body.startsWith('Scripts are disabled')
    ? "Scripts are disabled on this agent; to enable, configure 'enable_script_checks' or 'enable_local_script_checks' to true"
    : refusal.body.replace(/^Request decode failed: /, '');
}
