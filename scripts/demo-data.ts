/** What a small shop's Consul might hold: configuration, feature flags, services with checks, and a held lock. */
const services = ['web', 'checkout', 'payments', 'inventory', 'search', 'sessions-db', 'mail'];
const regions = ['eu-west', 'us-east', 'ap-south'];
/** What each part of the world decides for itself, under a prefix of its own. */
const shops = { eu: 'EUR', us: 'USD', ap: 'JPY' };

async function put(url: string, path: string, body?: unknown): Promise<string> {
  const response = await fetch(`${url}${path}`, {
    method: 'PUT',
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`PUT ${path}: ${response.status} ${text}`);
  return text;
}

export interface Filled {
  readonly keys: number;
  readonly nodes: number;
  readonly services: number;
  /** Id of the session that holds the lock. */
  readonly session: string;
}

/** Fills a Consul through its HTTP API, as its users would have. */
export async function fillWithBelievableData(url: string): Promise<Filled> {
  let keys = 0;
  const set = async (key: string, value: string, flags = 0): Promise<void> => {
    await put(url, `/v1/kv/${key}?flags=${flags}`, value);
    keys += 1;
  };
  for (const service of services) {
    await set(`app/${service}/limits/max_items`, '250');
    await set(`app/${service}/limits/timeout_ms`, '1500');
    await set(`app/${service}/log_level`, 'info');
    await set(`app/${service}/owner`, `team-${service}@example.com`);
    for (const region of regions) {
      await set(`app/${service}/regions/${region}/replicas`, '3');
      await set(
        `app/${service}/regions/${region}/db`,
        `postgres://db.${region}.internal:5432/${service}`,
        42,
      );
    }
  }
  for (let i = 0; i < 120; i++) {
    await set(
      `features/flag-${String(i).padStart(3, '0')}`,
      JSON.stringify({ on: i % 3 === 0, share: i % 100 }),
    );
  }
  for (const [place, currency] of Object.entries(shops)) {
    await set(`${place}/shop/currency`, currency);
    await set(`${place}/shop/banner`, 'Welcome!');
    await set(`${place}/shop/open`, 'true');
  }
  await set('legal/terms', 'Grüße, 你好, ¡hola! '.repeat(400));

  let instances = 0;
  const nodes = regions.flatMap((region) => [1, 2, 3].map((n) => ({ region, name: `${region}-${n}` })));
  for (const [i, node] of nodes.entries()) {
    for (const [j, service] of services.entries()) {
      if ((i + j) % 2 === 1) continue;
      instances += 1;
      await put(url, '/v1/catalog/register', {
        Node: node.name,
        Address: `10.${1 + regions.indexOf(node.region)}.0.${10 + i}`,
        NodeMeta: { region: node.region, 'external-node': 'true' },
        Service: {
          ID: `${service}-1`,
          Service: service,
          Port: 8000 + j,
          Tags: [node.region, j % 3 === 0 ? 'canary' : 'stable'],
          Meta: { version: `1.${j}.${i}` },
        },
        Check: {
          Node: node.name,
          CheckID: `service:${service}-1`,
          Name: `${service} answers`,
          Status: (i + j) % 9 === 4 ? 'warning' : 'passing',
          ServiceID: `${service}-1`,
          Output: 'HTTP GET /healthz: 200 OK',
        },
      });
    }
  }
  const session = JSON.parse(
    await put(url, '/v1/session/create', { Name: 'nightly-billing', TTL: '600s' }),
  ) as {
    ID: string;
  };
  await put(url, `/v1/kv/locks/nightly-billing?acquire=${session.ID}`, 'billing-7');
  return { keys: keys + 1, nodes: nodes.length, services: instances, session: session.ID };
}

/** What the lock's holder does when its work is done. */
export async function releaseLock(url: string, session: string): Promise<void> {
  await put(url, `/v1/kv/locks/nightly-billing?release=${session}`, 'done');
  await put(url, `/v1/session/destroy/${session}`);
}
