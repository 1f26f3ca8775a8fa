import { createHash } from 'node:crypto';
import { ignoreRules } from '../../compare/ignore-rules.ts';

/**
 * What a comparison of answers passes over, on purpose and by name: what a sweep does, and what only shows in answers.
 * Versioned; the hash stands in every report, so that reports made under different rules are never taken for comparable.
 */
export const shadowRulesVersion = 1;

export const shadowRules = [
  ...ignoreRules,
  { name: 'list-order', what: 'the order of catalog and health lists, which Consul does not promise' },
  { name: 'near-order', what: 'the order of ?near= lists: coordinates are not copied' },
  { name: 'gateway-keys', what: 'keys below _gw/, by which gateways fence their writes' },
  { name: 'content-type', what: 'parameters of Content-Type' },
] as const;

export function shadowRulesHash(): string {
  return createHash('sha256')
    .update(JSON.stringify([shadowRulesVersion, shadowRules]))
    .digest('hex');
}

/** Masked wherever they stand: each side numbers its own. */
export const maskedIndexes: ReadonlySet<string> = new Set(['CreateIndex', 'ModifyIndex', 'LockIndex']);

/** Fields of catalog entries that only say where they came from, and a check's free text. */
export const maskedFields: ReadonlySet<string> = new Set(['Datacenter', 'Namespace', 'Partition', 'Output']);

const gatewayKeys = '_gw/';
const rehearsals = '_gw/rehearsal/';

/** Keys by which gateways fence each other's writes; those of a rehearsal are keys like any others. */
export function isGatewayKey(key: string): boolean {
  return key.startsWith(gatewayKeys) && !key.startsWith(rehearsals);
}
