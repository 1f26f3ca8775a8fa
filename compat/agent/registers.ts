import { Kind } from '../../src/state/kinds.ts';
import type { LocalCommand } from '../../src/state/local.ts';
import type { ServiceValue } from '../../src/state/values.ts';
import { encodeHeldCheck, encodeHeldService, type HeldCheck } from './held.ts';

export type RegisterPut = LocalCommand['puts'][number];
export type RegisterDelete = LocalCommand['deletes'][number];

/** Registers are keyed without case, as the catalog is. */
function registerKey(id: string): string {
  return id.toLowerCase();
}

export function servicePut(service: ServiceValue): RegisterPut {
  return { kind: Kind.agentService, key: registerKey(service.id), value: encodeHeldService(service) };
}

export function checkPut(check: HeldCheck): RegisterPut {
  return { kind: Kind.agentCheck, key: registerKey(check.definition.checkId), value: encodeHeldCheck(check) };
}

export function serviceDelete(id: string): RegisterDelete {
  return { kind: Kind.agentService, key: registerKey(id) };
}

export function checkDelete(id: string): RegisterDelete {
  return { kind: Kind.agentCheck, key: registerKey(id) };
}
