/** The data that the benchmark reads: one key, a tree of 100 keys, and a service of 31 instances. */
export async function fillForBench(url: string): Promise<void> {
  await put(`${url}/v1/kv/bench/single`, 'hello');
  for (let i = 0; i < 100; i++) {
    await put(`${url}/v1/kv/tree/key-${String(i).padStart(3, '0')}`, `value-${i}-${'x'.repeat(24)}`);
  }
  for (let i = 0; i < 31; i++) {
    const node = `web-node-${i}`;
    await put(
      `${url}/v1/catalog/register`,
      JSON.stringify({
        Node: node,
        Address: `10.0.0.${i + 1}`,
        NodeMeta: { rack: `r${i % 4}` },
        Service: {
          ID: 'web',
          Service: 'web',
          Port: 8000 + i,
          Tags: ['primary', 'v1'],
          Meta: { version: '1.2.3' },
        },
        Checks: [
          { Node: node, CheckID: 'node-up', Name: 'node is up', Status: 'passing' },
          { Node: node, CheckID: 'service:web', Name: 'web answers', Status: 'passing', ServiceID: 'web' },
        ],
      }),
    );
  }
}

async function put(url: string, body: string): Promise<void> {
  const response = await fetch(url, { method: 'PUT', body });
  if (!response.ok) throw new Error(`PUT ${url}: ${response.status} ${await response.text()}`);
}
