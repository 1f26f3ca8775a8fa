import { z } from 'zod';

// Of what a report is made: counts, shares and their intervals, distributions.

export const count = z.int().min(0).meta({ id: 'count' });
export const share = z.number().min(0).max(1).meta({ id: 'share' });
export const ms = z.number().min(0).meta({ id: 'ms', description: 'Milliseconds.' });
export const time = z
  .string()
  .regex(/^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z$/)
  .meta({ id: 'time' });
export const interval95 = z
  .tuple([share, share])
  .meta({ id: 'interval95', description: 'Bounds of a share at 95 %.' });
export const hmac = z
  .string()
  .regex(/^[0-9a-f]{32}$/)
  .meta({ id: 'hmac' });
export const counts = z.record(z.string(), count).meta({ id: 'counts' });
export const bothCounts = z.object({ source: count, target: count }).meta({ id: 'bothCounts' });

export const rate = z
  .object({
    value: share,
    wilson95: interval95,
    upper95: share.describe('3/n where none of n differ; else the upper end of the widest interval.'),
    hits: count.optional(),
    of: count.optional(),
    interval95: interval95.optional().describe('The widest interval: the one to print.'),
    method: z.string().optional().describe('none, rule-of-three, wilson or bootstrap-by-key.'),
  })
  .meta({ id: 'rate' });

export const histogram = z
  .object({
    count,
    sum: z.number(),
    max: z.number(),
    zero: count.describe('Values below 0.001.'),
    buckets: z
      .array(z.tuple([z.int(), count]))
      .describe('Bucket b holds values in (g^(b-1), g^b], g = 1.02/0.98: the middle is 2 % off at most.'),
  })
  .meta({ id: 'histogram', description: 'Milliseconds, mergeable by adding up bucket by bucket.' });

export const quantiles = z
  .object({
    n: count,
    p50: ms.nullable(),
    p90: ms.nullable(),
    p99: ms.nullable(),
    p999: ms.nullable(),
    max: ms.nullable(),
  })
  .meta({ id: 'quantiles', description: 'Milliseconds; null where nothing was measured.' });

export const bothQuantiles = z.object({ source: quantiles, target: quantiles }).meta({ id: 'bothQuantiles' });
