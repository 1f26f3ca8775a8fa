import type { GatewayPort } from '../gateway-port.ts';
import type { Peers } from './peers.ts';
import type { ReplicaPhases } from './phases.ts';

/** How long a gateway that just started waits to hear of the newest steps from somebody. Guess. */
const waitMsMax = 5000;
const lookMs = 200;

/**
 * A gateway that was away may have missed steps, and one that is new has no rules at all: it answers for none before
 * it has what the others act on. One that reaches nobody goes on with what it has: writers of an old step are fenced.
 */
export function learnPhases(
  gateway: GatewayPort,
  phases: ReplicaPhases,
  peers: Peers,
  concerns: { readonly hasSource: boolean; readonly awaitsRules: () => boolean },
): () => void {
  // Nothing is migrated here, as far as is known: this gateway answers as ever.
  if (!concerns.hasSource && phases.rules.length === 0) {
    phases.becameKnown();
    return () => {};
  }
  const dueMs = gateway.monoMs() + waitMsMax;
  const look = (): void => {
    if (concerns.awaitsRules()) return;
    if (!isUpToDate(phases, peers) && gateway.monoMs() < dueMs) return;
    stop();
    phases.becameKnown();
  };
  const timer = setInterval(() => {
    void peers.ask();
    look();
  }, lookMs);
  const stopHearing = peers.onHeard(look);
  const stop = (): void => {
    clearInterval(timer);
    stopHearing();
  };
  return stop;
}

function isUpToDate(phases: ReplicaPhases, peers: Peers): boolean {
  const others = peers
    .list()
    .slice(1)
    .filter(({ member }) => member.alive);
  const heard = others.filter(({ facts, problem }) => facts !== undefined && problem === undefined);
  if (others.length > 0 && heard.length === 0) return false;
  return heard.every(({ facts }) =>
    (facts?.rules ?? []).every(
      ({ of, prefix, step }) =>
        (phases.rules.find((rule) => rule.of === of && rule.prefix === prefix)?.step ?? 0) >= step,
    ),
  );
}
