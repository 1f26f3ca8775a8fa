import { prefixEnd } from '../../../src/kernel/utf8-order.ts';
import { Kind } from '../../../src/state/kinds.ts';
import type { ReadView } from '../../../src/state/store.ts';
import { LeafSizer, namesOfReader, planRegions, type NameSource } from '../../copy/plan-regions.ts';
import type { Region } from '../../mirror/regions.ts';
import type { ConsulReader, KvEntry, ReadMeta } from '../../source/consul-reader.ts';

/** A key of either side, as a consistent list had it at `index`. */
export interface Pair {
  readonly key: string;
  readonly there: KvEntry | undefined;
  /** Of the answer that it was in, or missing from. */
  readonly index: number;
}

const bytesAim = 1024 * 1024;
const namesCeiling = 4096;

/**
 * All keys below a prefix that the source or this replica has, leaf by leaf, as the source has them.
 * @throws Error when an answer cannot be relied on: filtered, or without a leader
 */
export async function* pairs(
  reader: ConsulReader,
  view: ReadView,
  prefix: string,
): AsyncGenerator<readonly Pair[]> {
  const sizer = new LeafSizer(bytesAim, namesCeiling);
  for await (const region of planRegions(
    prefix,
    [namesOfReader(reader), namesHere(view)],
    sizer.namesMax,
    () => {},
  )) {
    yield await leaf(reader, view, region, sizer);
  }
}

async function leaf(
  reader: ConsulReader,
  view: ReadView,
  region: Region,
  sizer: LeafSizer,
): Promise<readonly Pair[]> {
  if (region.tree) {
    const answer = await reader.list(region.prefix);
    if (answer.kind === 'list') {
      const index = reliable(answer.meta);
      sizer.learn(answer.entries.length, answer.bytes);
      const there = new Map(answer.entries.map((entry) => [entry.key, entry]));
      const keys = new Set([...there.keys(), ...liveKeys(view, region.prefix)]);
      return [...keys].map((key) => ({ key, there: there.get(key), index }));
    }
  }
  const found: Pair[] = [];
  for (const key of region.names) {
    // oxlint-disable-next-line no-await-in-loop -- large values, one by one
    const answer = await reader.get(key);
    if (answer.kind === 'denied') throw new Error('the token may not read all keys below the prefix');
    found.push({ key, there: answer.entry ?? undefined, index: reliable(answer.meta) });
  }
  return found;
}

function reliable(meta: ReadMeta): number {
  if (meta.filtered) throw new Error('the token may not see all keys below the prefix');
  if (!meta.knownLeader || meta.index === null) throw new Error('the source has no leader');
  return meta.index;
}

function namesHere(view: ReadView): NameSource {
  return {
    names: (prefix) => Promise.resolve([...liveKeys(view, prefix)]),
    children: (prefix) => {
      const children = new Set<string>();
      for (const key of liveKeys(view, prefix)) {
        const cut = key.indexOf('/', prefix.length);
        children.add(cut < 0 ? key : key.slice(0, cut + 1));
      }
      return Promise.resolve([...children]);
    },
  };
}

function* liveKeys(view: ReadView, prefix: string): Iterable<string> {
  for (const row of view.rangeKeys(Kind.kv, prefix, prefixEnd(prefix))) if (row.live) yield row.key;
}
