import type { CheckStatus } from './thresholds.ts';

/** A check as an alias sees it: node-level ones have the empty service id. */
export type AliasedCheck = {
  readonly checkId: string;
  readonly serviceId: string;
  /** Whether it is an alias itself (its `Type` is `alias`). */
  readonly isAlias: boolean;
  readonly name: string;
  readonly status: CheckStatus;
  readonly output: string;
};

/** Who is aliased. An empty node is the agent's own; an empty service id aliases the node alone. */
export type AliasTarget = { readonly node: string; readonly serviceId: string };

export type AliasView = {
  /** Whether the service (or, for a node target, the node) is registered at all. */
  readonly exists: boolean;
  /** The checks of the target's node; those of other services are passed over here. */
  readonly checks: readonly AliasedCheck[];
};

/**
 * The status of an alias: the worst of the target's own checks and of its node's. A target without checks
 * passes; one that is not registered is critical. `selfId` is the alias. Consul counts an alias among the
 * checks of its own node, so that one that was critical stays so for ever; here itself and other aliases at
 * the node's level are passed over.
 */
export function evaluateAlias(
  selfId: string,
  target: AliasTarget,
  view: AliasView,
): { readonly status: CheckStatus; readonly output: string } {
  const relevant = view.checks.filter(({ checkId, serviceId, isAlias }) => {
    if (checkId === selfId) return false;
    return serviceId === '' ? !isAlias : serviceId === target.serviceId;
  });
  const ownFound = relevant.some(({ serviceId }) => serviceId === target.serviceId);
  if (!ownFound && !view.exists) {
    const what = target.serviceId === '' ? 'Node' : `Service ${target.serviceId}`;
    return { status: 'critical', output: `${what} could not be found on node ${target.node}` };
  }
  const failing =
    relevant.find(({ status }) => status === 'critical') ??
    relevant.findLast(({ status }) => status === 'warning');
  if (failing !== undefined) {
    const name = JSON.stringify(failing.name);
    return { status: failing.status, output: `Aliased check ${name} failing: ${failing.output}` };
  }
  return { status: 'passing', output: relevant.length === 0 ? 'No checks found.' : 'All checks passing.' };
}
