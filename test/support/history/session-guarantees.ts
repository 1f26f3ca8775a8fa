import { byKey, groupBy, operationText, type RegisterOperation } from './history.ts';

// What a client may rely on where it always asks the same gateway. Values are never written twice, so that of each
// value that was read it is known who wrote it.

/** Reads of the local replica: `call` is `read`; writes: whatever was written through any gateway. */
export interface SessionHistory {
  readonly localReads: readonly RegisterOperation[];
  readonly writes: readonly RegisterOperation[];
  /** Whether what this gateway had when it answered may have been taken from it since: it was restored from a backup. */
  readonly lifeOf?: (gateway: string, at: number) => number;
}

/** Once a gateway has shown a newer value it does not show an older one. */
export function checkMonotonicReads({ localReads, lifeOf }: SessionHistory): readonly string[] {
  const problems: string[] = [];
  const groups = groupBy(localReads, (read) => {
    const life = lifeOf?.(read.gateway, read.invokedAt) ?? 0;
    return `${read.gateway}\n${life}\n${read.key}`;
  });
  for (const reads of groups.values()) {
    // Of each value: the read that showed another one after it.
    const gone = new Map<string, RegisterOperation>();
    let shown: RegisterOperation | undefined;
    for (const read of reads.toSorted((a, b) => a.completedAt - b.completedAt || a.id - b.id)) {
      const value = valueOf(read);
      if (value === undefined) continue;
      const before = shown === undefined ? undefined : valueOf(shown);
      if (before === value) continue;
      if (typeof before === 'string' && !gone.has(before)) gone.set(before, read);
      const newer = value === null ? undefined : gone.get(value);
      if (newer !== undefined && newer.completedAt < read.invokedAt) {
        problems.push(`not monotonic: ${operationText(read)} shows what was gone in ${operationText(newer)}`);
      }
      shown = read;
    }
  }
  return problems;
}

/** After a write was acknowledged by a gateway, that gateway shows it, or what came after it. */
export function checkReadYourWrites({ localReads, writes, lifeOf }: SessionHistory): readonly string[] {
  const problems: string[] = [];
  const writesOf = byKey(writes.filter(isEffective));
  const life = (gateway: string, at: number): number => lifeOf?.(gateway, at) ?? 0;
  for (const read of localReads) {
    const value = valueOf(read);
    if (value === undefined) continue;
    const all = writesOf.get(read.key) ?? [];
    const own = all.filter(
      (write) =>
        write.gateway === read.gateway &&
        isAcknowledged(write) &&
        write.completedAt < read.invokedAt &&
        life(read.gateway, write.completedAt) === life(read.gateway, read.invokedAt),
    );
    const shown = all.filter((write) => writtenBy(write) === value);
    for (const write of own) {
      // Nothing that could have been shown was written at the time of this write or later.
      if (shown.every((other) => other !== write && other.completedAt < write.invokedAt)) {
        problems.push(`own write not read: ${operationText(read)} after ${operationText(write)}`);
        break;
      }
    }
  }
  return problems;
}

/**
 * No acknowledged write is undone: what is there in the end was written by an operation after which no acknowledged one
 * began. `excused`: a takeover fenced it, and it is in a table of conflicts.
 */
export function checkNothingLost(
  writes: readonly RegisterOperation[],
  finalValue: (key: string) => string | null,
  excused: (write: RegisterOperation) => boolean = () => false,
): readonly string[] {
  const problems: string[] = [];
  for (const [key, all] of byKey(writes.filter(isEffective))) {
    const value = finalValue(key);
    const candidates = all.filter((write) => writtenBy(write) === value);
    if (value !== null && candidates.length === 0) {
      problems.push(`${key} has a value that nobody wrote: ${value}`);
      continue;
    }
    const acknowledged = all.filter((write) => isAcknowledged(write) && !excused(write));
    for (const write of acknowledged) {
      if (writtenBy(write) === value) continue;
      const isNewer = (other: RegisterOperation): boolean => other.completedAt >= write.invokedAt;
      if (candidates.some(isNewer)) continue;
      problems.push(
        `acknowledged write lost: ${operationText(write)}, but in the end ${key} is ${JSON.stringify(value)}`,
      );
    }
  }
  return problems;
}

function valueOf(read: RegisterOperation): string | null | undefined {
  return read.result !== undefined && 'value' in read.result ? read.result.value : undefined;
}

function writtenBy({ call }: RegisterOperation): string | null | undefined {
  return call.kind === 'read' ? undefined : call.value;
}

/** A write that took effect, or may have. */
function isEffective({ call, result }: RegisterOperation): boolean {
  return call.kind !== 'read' && (result === undefined || ('applied' in result && result.applied));
}

function isAcknowledged({ result }: RegisterOperation): boolean {
  return result !== undefined && 'applied' in result && result.applied;
}
