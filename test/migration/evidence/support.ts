import { Evidence, type KeyId } from '../../../migration/evidence/evidence.ts';
import type { CellKey, EvidencePart } from '../../../migration/evidence/snapshot.ts';

export const sampling = {
  percent: 100,
  noisePercent: 1,
  linearizablePercent: 1,
  recheckDelaysMs: [1_000, 5_000, 30_000],
  concurrencyMax: 4,
  perSecondMax: 50,
};

export function evidenceOf(name: string, epoch = 1, before?: EvidencePart): Evidence {
  return new Evidence(
    {
      gateway: { id: `id-${name}`, name, region: 'r1' },
      epoch,
      redaction: { mode: 'redacted', secretName: 'per-run', secretId: 's' },
      rules: { version: 1, sha256: 'x' },
      sampling,
    },
    1_000_000,
    before,
  );
}

export function cellKey(prefix = 'app/', endpoint = 'kv-get'): CellKey {
  return { of: 'kv', prefix, phase: 'shadow', endpoint };
}

export function keyId(at: number): KeyId {
  const hash = (at * 2_654_435_761 * 97_003) % 2 ** 48;
  return { hmac: hash.toString(16).padStart(12, '0').padEnd(32, '0'), hash };
}
