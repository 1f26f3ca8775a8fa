import type { EvidenceSample } from './snapshot.ts';

const worstKept = 6;
const newestKept = 6;

/** Of each kind and outcome the worst (longest open) and the newest. */
export class Samples {
  readonly #groups = new Map<string, { worst: EvidenceSample[]; newest: EvidenceSample[] }>();

  constructor(before: readonly EvidenceSample[]) {
    for (const sample of before.toSorted((a, b) => a.atMs - b.atMs)) this.add(sample);
  }

  add(sample: EvidenceSample): void {
    const id = `${sample.outcome} ${sample.kind}`;
    const group = this.#groups.get(id) ?? { worst: [], newest: [] };
    this.#groups.set(id, group);
    // What is no difference any more was shown as open before.
    group.newest = [...group.newest.filter((each) => !isSame(each, sample)), sample].slice(-newestKept);
    group.worst = [...group.worst.filter((each) => !isSame(each, sample)), sample]
      .toSorted((a, b) => b.openMs - a.openMs || b.atMs - a.atMs)
      .slice(0, worstKept);
  }

  /** Newest first. */
  all(): EvidenceSample[] {
    const groups = [...this.#groups.values()];
    const all = new Set(groups.flatMap(({ worst, newest }) => [...worst, ...newest]));
    return [...all].toSorted((a, b) => b.atMs - a.atMs);
  }
}

/** One key is shown once for each endpoint. */
function isSame(a: EvidenceSample, b: EvidenceSample): boolean {
  return a.key.hmac === b.key.hmac && a.endpoint === b.endpoint;
}
