import { evidenceSchema, type EvidencePart, type EvidenceSnapshot } from './snapshot.ts';

export function emptySnapshot(): EvidenceSnapshot {
  return { schema: evidenceSchema, parts: [], absent: [] };
}

/**
 * Of each gateway the newest part. A least upper bound, since a part of one (epoch, seq) is the same wherever it is
 * met: associative, commutative, idempotent.
 */
export function mergeSnapshots(a: EvidenceSnapshot, b: EvidenceSnapshot): EvidenceSnapshot {
  const byId = new Map<string, EvidencePart>();
  for (const part of [...a.parts, ...b.parts]) {
    const held = byId.get(part.gateway.id);
    if (held === undefined || isNewer(part, held)) byId.set(part.gateway.id, part);
  }
  const parts = [...byId.values()].toSorted((x, y) => (x.gateway.id < y.gateway.id ? -1 : 1));
  const names = new Set(parts.map((part) => part.gateway.name));
  const absent = [...new Set([...a.absent, ...b.absent])].filter((name) => !names.has(name)).toSorted();
  return { schema: evidenceSchema, parts, absent };
}

function isNewer(a: EvidencePart, b: EvidencePart): boolean {
  return a.epoch === b.epoch ? a.seq > b.seq : a.epoch > b.epoch;
}
