import { isJsonObject } from '../../../compat/wire/go-json.ts';
import { keyOddities } from '../../mirror/key-rules.ts';
import { screenKv, type KvRemark } from '../../mirror/screening.ts';
import { namesOfReader, planRegions } from '../../copy/plan-regions.ts';
import type { ConsulReader } from '../../source/consul-reader.ts';
import type { PartContext } from '../ports.ts';

/** What there is to be moved, as far as the token may see it. */
export interface Plan {
  readonly source: { readonly address: string; readonly datacenter: string; readonly version: string };
  readonly keys: number;
  /** Of the values, as a sample has it. */
  readonly bytesEstimated: number;
  readonly sample: { readonly keys: number; readonly bytes: number; readonly tookMs: number };
  /** Keys by their first part, most first. */
  readonly prefixes: readonly { readonly prefix: string; readonly keys: number }[];
  readonly services: number;
  readonly nodes: number;
  readonly sessions: number;
  /** In the sample: what is named, how often, and a few keys. */
  readonly remarks: readonly {
    readonly what: string;
    readonly count: number;
    readonly some: readonly string[];
  }[];
  /** Endpoints that clients used through the gateways and that are refused here, with how often. */
  readonly refusedEndpoints: Readonly<Record<string, number>>;
  readonly backfillMsEstimated: number;
  /** What the token may not see, or what could not be read. */
  readonly blind: readonly string[];
}

const sampleRegionsMax = 16;
const namesPerRegion = 512;
const prefixesShown = 20;
const someShown = 5;

/** Reads all names and a sample of the values: cheap enough for a cluster that is in use. */
export async function planMigration(
  context: PartContext,
  reader: ConsulReader,
  refusedEndpoints: Readonly<Record<string, number>>,
): Promise<Plan> {
  const { gateway } = context;
  const blind: string[] = [];
  const seen = async <T>(what: string, work: () => Promise<T>, otherwise: T): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      blind.push(`${what}: ${error instanceof Error ? error.message : String(error)}`);
      return otherwise;
    }
  };
  const self = await seen('agent/self', () => reader.self(), {
    ...{ datacenter: '', nodeName: '', version: '', aclsEnabled: false },
  });
  const remarks = new Map<string, { count: number; some: string[] }>();
  const note = (what: KvRemark, key: string): void => {
    const held = remarks.get(what) ?? { count: 0, some: [] };
    held.count += 1;
    if (held.some.length < someShown) held.some.push(key);
    remarks.set(what, held);
  };
  let keys = 0;
  const byPrefix = new Map<string, number>();
  const leaves: string[] = [];
  const size = (): number => namesPerRegion;
  await seen(
    'keys',
    async () => {
      for await (const region of planRegions('', [namesOfReader(reader)], size, () => {})) {
        keys += region.names.length;
        if (region.tree) leaves.push(region.prefix);
        for (const name of region.names) {
          const cut = name.indexOf('/');
          const first = cut < 0 ? '' : name.slice(0, cut + 1);
          byPrefix.set(first, (byPrefix.get(first) ?? 0) + 1);
          for (const oddity of keyOddities(name)) note(oddity, name);
        }
      }
    },
    undefined,
  );
  const sample = { keys: 0, bytes: 0, tookMs: 0 };
  const startMs = gateway.monoMs();
  const every = Math.max(1, Math.floor(leaves.length / sampleRegionsMax));
  for (const leaf of leaves.filter((_, at) => at % every === 0).slice(0, sampleRegionsMax)) {
    // oxlint-disable-next-line no-await-in-loop -- a sample must not press the source
    await seen(
      `keys below ${JSON.stringify(leaf)}`,
      async () => {
        const answer = await reader.list(leaf);
        if (answer.kind === 'too-large') return;
        if (answer.meta.filtered)
          blind.push(`the token sees only some of the keys below ${JSON.stringify(leaf)}`);
        for (const entry of answer.entries) {
          sample.keys += 1;
          sample.bytes += entry.value.length;
          const oddities = new Set<string>(keyOddities(entry.key));
          for (const remark of screenKv(entry).remarks) if (!oddities.has(remark)) note(remark, entry.key);
        }
      },
      undefined,
    );
  }
  sample.tookMs = Math.round(gateway.monoMs() - startMs);
  const nodes = await seen('catalog', async () => (await reader.nodes()).names, []);
  const sessions = await seen('sessions', () => reader.sessions(), []);
  const services = await seen('services', () => countServices(context), 0);
  const share = sample.keys === 0 ? 0 : keys / sample.keys;
  return {
    source: { address: reader.address, datacenter: self.datacenter, version: self.version },
    keys,
    bytesEstimated: Math.round(sample.bytes * share),
    sample,
    prefixes: [...byPrefix]
      .map(([prefix, count]) => ({ prefix, keys: count }))
      .toSorted((a, b) => b.keys - a.keys)
      .slice(0, prefixesShown),
    ...{ services, nodes: nodes.length, sessions: sessions.length },
    remarks: [...remarks].map(([what, { count, some }]) => ({ what, count, some })),
    refusedEndpoints,
    // Reading is what takes: what is read is applied while the next is on its way.
    backfillMsEstimated: Math.round(sample.tookMs * share),
    blind,
  };
}

async function countServices({ client, settings }: PartContext): Promise<number> {
  if (client === undefined) return 0;
  const answer = await client.ask({
    ...{ method: 'GET', path: '/v1/catalog/services', token: settings.source?.token ?? '' },
  });
  if (answer.kind !== 'answer') throw new Error(answer.why);
  if (answer.status !== 200) throw new Error(`${answer.status} ${answer.body.toString().slice(0, 200)}`);
  const body: unknown = JSON.parse(answer.body.toString());
  return typeof body === 'object' && body !== null && isJsonObject(body as never)
    ? Object.keys(body).length
    : 0;
}
