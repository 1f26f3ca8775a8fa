import { createHash } from 'node:crypto';

/**
 * What a comparison leaves out, on purpose and by name. The list is versioned and its hash stands in every
 * report, so that two reports made under different rules are never taken for comparable.
 */
export const ignoreRulesVersion = 2;

export const ignoreRules = [
  { name: 'indexes', what: 'CreateIndex, ModifyIndex, LockIndex: each side numbers its own' },
  { name: 'datacenter', what: 'Datacenter, Namespace, Partition of catalog entries' },
  { name: 'check-output', what: 'Output of checks: free text that changes without meaning' },
  { name: 'check-node-copies', what: 'what a check repeats of its node' },
  {
    name: 'zero-values',
    what: 'null, empty and absent fields are the same, except in Meta and TaggedAddresses',
  },
  { name: 'target-own-node', what: "the gateways' own nodes, services and checks, on both sides" },
  { name: 'source-servers', what: "the service consul of the source's servers, and its checks" },
  {
    name: 'unnameable-nodes',
    what: 'nodes whose name has a slash, a dot segment or a non-printable character',
  },
] as const;

export function ignoreRulesHash(): string {
  return createHash('sha256')
    .update(JSON.stringify([ignoreRulesVersion, ignoreRules]))
    .digest('hex');
}
