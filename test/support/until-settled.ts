import type { AgentProcess } from './agent-process.ts';

/** Waits until the agent has put all that it knows about itself into the catalog: later writes are ours. */
export async function untilSettled(agent: AgentProcess): Promise<void> {
  let index = '0';
  for (;;) {
    const response = await fetch(`${agent.url}/v1/catalog/node/${agent.nodeName}?index=${index}&wait=10s`);
    index = response.headers.get('x-consul-index') ?? '0';
    const found = (await response.json()) as {
      Node: { TaggedAddresses: object | null; Meta: object | null };
      Services: Record<string, unknown>;
    } | null;
    if (found?.Node.TaggedAddresses && found.Node.Meta && 'consul' in found.Services) return;
  }
}
