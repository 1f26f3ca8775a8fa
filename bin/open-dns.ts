import type { AgentConfig } from '../compat/config/agent-config.ts';
import type { RemoteAsk } from '../compat/dns/remote-catalog.ts';
import type { DnsServer } from '../compat/dns/server.ts';
import type { Freshness, ReadScope } from '../compat/fleet/port.ts';
import type { Log } from '../src/io/logging.ts';
import type { DriveLoop } from '../src/runtime/drive-loop.ts';
import type { ReadView } from '../src/state/store.ts';

export interface DnsParts {
  readonly config: AgentConfig;
  readonly view: ReadView;
  readonly loop: DriveLoop;
  readonly freshness: (scope: ReadScope) => Freshness;
  /** Who holds a datacenter's catalog, where it is not this gateway. */
  readonly remote: (datacenter: string) => RemoteAsk | undefined;
  readonly log: Log;
}

/** Serves DNS where the configuration has it; its code is loaded only then. */
export async function openDns(parts: DnsParts): Promise<DnsServer | undefined> {
  const { config, view, loop, freshness, remote, log } = parts;
  if (config.dnsListeners.length === 0) return undefined;
  const { startDnsServer } = await import('../compat/dns/server.ts');
  const server = await startDnsServer({
    listeners: config.dnsListeners,
    config: config.dns,
    datacenter: config.datacenter,
    translateWanAddrs: config.translateWanAddrs,
    view,
    onCommit: (listener) => loop.onCommit(listener),
    freshness: () => freshness({ kind: 'catalog' }),
    remote,
    random: Math.random,
    nowMs: Date.now,
    onDefect: (error) => log.error({ err: error }, 'defect in DNS'),
  });
  const addresses = config.dnsListeners.map((listener) =>
    'host' in listener ? listener.host : listener.path,
  );
  log.info({ addresses: addresses.join(' '), port: server.ports[0] ?? 0 }, 'DNS is listening');
  return server;
}
