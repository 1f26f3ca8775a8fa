import { checksOfNode, checkValue, getNode, getService, serfHealth } from '../../src/state/catalog.ts';
import type { CommitListener } from '../../src/runtime/drive-loop.ts';
import type { ReadView } from '../../src/state/store.ts';
import { topic } from '../../src/state/topics.ts';
import type { CheckValue } from '../../src/state/values.ts';
import type { AliasedCheck, AliasTarget, AliasView } from '../checks/alias.ts';
import type { AliasSource } from '../checks/runner.ts';

export interface AliasSourceOptions {
  readonly view: ReadView;
  readonly onCommit: (listener: CommitListener) => () => void;
  readonly isOwnNode: (node: string) => boolean;
  /** The agent's own checks as they are now, ahead of the catalog. */
  readonly ownChecks: () => Iterable<CheckValue>;
  readonly hasOwnService: (id: string) => boolean;
  readonly onOwnChange: (listener: () => void) => () => void;
}

/** Alias checks look at the agent's own checks directly, and at other nodes' in the catalog. */
export function catalogAliases(options: AliasSourceOptions): AliasSource {
  const { view, onCommit, isOwnNode, ownChecks, hasOwnService, onOwnChange } = options;
  return {
    view: ({ node, serviceId }) =>
      isOwnNode(node)
        ? { exists: serviceId === '' || hasOwnService(serviceId), checks: [...ownChecks()].map(aliased) }
        : remoteView(view, { node, serviceId }),
    subscribe: ({ node }, changed) => {
      if (isOwnNode(node)) return onOwnChange(changed);
      const wanted = topic.node(node);
      return onCommit((touched) => {
        if (touched.has(wanted)) changed();
      });
    },
  };
}

function remoteView(view: ReadView, { node, serviceId }: AliasTarget): AliasView {
  const checks: AliasedCheck[] = [];
  for (const row of checksOfNode(view, node)) if (row.value !== null) checks.push(aliased(checkValue(row)));
  const health = serfHealth(view, node);
  if (health !== undefined && !checks.some(({ checkId }) => checkId === health.checkId)) {
    checks.push(aliased(health));
  }
  const exists =
    getNode(view, node) !== undefined &&
    (serviceId === '' || getService(view, node, serviceId) !== undefined);
  return { exists, checks };
}

/** The catalog takes any status; an alias knows only the failing ones, as in Consul. */
function aliased({ checkId, serviceId, name, status, output, type }: CheckValue): AliasedCheck {
  const known = status === 'critical' || status === 'warning' ? status : 'passing';
  return { checkId, serviceId, isAlias: type === 'alias', name, status: known, output };
}
