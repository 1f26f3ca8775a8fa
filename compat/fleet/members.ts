import { endpointText } from '../../src/wire/endpoint.ts';
import type { MemberView } from './port.ts';

/** Whether it takes part: who is only suspected lives, for everybody but the probes. */
export function isLive({ state, leaving }: MemberView): boolean {
  return (state === 'alive' || state === 'suspect') && !leaving;
}

/** Serf's number: 1 alive, 2 leaving, 3 left, 4 failed. */
export function serfStatus({ state, leaving }: MemberView): number {
  switch (state) {
    case 'alive':
    case 'suspect':
      return leaving ? 2 : 1;
    case 'left':
      return 3;
    case 'failed':
      return 4;
  }
}

/** `ip:port` as a Consul server shows its Raft address. */
export function serverText({ facts }: MemberView): string {
  return endpointText({ address: facts.endpoint.address, port: Number(facts.tags['port'] ?? 0) });
}
