import type { AgentConfig } from './agent-config.ts';
import { inNetworks, isAnyAddress } from './ip-address.ts';

/** Whether a pool's gossip is opened, and at what address. Texts are for the operator. */
export type GossipDecision =
  | { readonly kind: 'open'; readonly bind: string }
  /** This gateway goes on alone. `warning`: not by its own choice. */
  | { readonly kind: 'alone'; readonly warning?: string }
  | { readonly kind: 'refused'; readonly message: string };

/**
 * Unencrypted gossip stays on loopback unless the operator says otherwise in so many words. Who asks for other
 * gateways and cannot have them does not start; who asks for none (a single gateway, as most begin) serves alone.
 * `encrypted`: there is a key, of `encrypt` or in the keyring's file.
 */
export function decideGossip(
  config: Pick<
    AgentConfig,
    'gossip' | 'join' | 'ports' | 'bootstrapExpect' | 'advertiseAddr' | 'advertiseAddrWan'
  >,
  pool: 'lan' | 'wan',
  encrypted: boolean,
): GossipDecision {
  const { gossip, join, ports, bootstrapExpect } = config;
  const lan = pool === 'lan';
  if ((lan ? ports.serfLan : ports.serfWan) === -1) return { kind: 'alone' };
  const bind = lan ? gossip.bindLan : gossip.bindWan;
  if (encrypted || gossip.allowPlaintext || isLoopback(bind)) return { kind: 'open', bind };
  const advertised = lan ? config.advertiseAddr : config.advertiseAddrWan;
  // Others are told an address of this machine only: it is enough to listen there.
  if (isAnyAddress(bind) && isLoopback(advertised)) return { kind: 'open', bind: advertised };

  const key = askedBy(lan, join, bootstrapExpect);
  const cure =
    'Give all gateways one key with -encrypt (`grapevine keygen` prints one); or, where the network is trusted, say ' +
    'grapevine { allow_plaintext_gossip = true }';
  if (key !== undefined) {
    return { kind: 'refused', message: `${key} asks for gossip at ${bind}, unencrypted. ${cure}` };
  }
  return lan
    ? { kind: 'alone', warning: `no other gateway can join: gossip at ${bind} would be unencrypted. ${cure}` }
    : { kind: 'alone' };
}

/** The key that asks for other gateways. */
function askedBy(lan: boolean, join: AgentConfig['join'], bootstrapExpect: number): string | undefined {
  if (lan && bootstrapExpect > 1) return 'bootstrap_expect';
  const keys: readonly (readonly [string, readonly string[]])[] = lan
    ? [
        ['retry_join', join.retryJoin],
        ['start_join', join.startJoin],
      ]
    : [
        ['retry_join_wan', join.retryJoinWan],
        ['start_join_wan', join.startJoinWan],
      ];
  return keys.find(([, addresses]) => addresses.length > 0)?.[0];
}

function isLoopback(address: string): boolean {
  return inNetworks(address, ['127.0.0.0/8', '::1/128']);
}
