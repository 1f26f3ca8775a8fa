import { z } from 'zod';
import { phases } from '../../../src/state/migration.ts';

// What operators order over HTTP, and gateways of each other. Names in bodies are as in the command line.

const prefix = z.string().max(64 * 1024);
const reason = z.string().max(4096);
const kind = z.enum(['kv', 'catalog']);

export const stepOrder = z.strictObject({
  prefix,
  phase: z.enum(phases),
  kind: kind.default('kv'),
  dryRun: z.boolean().default(false),
  reason: reason.default(''),
  override: z.boolean().default(false),
  /** Gateways that need not acknowledge. */
  without: z.array(z.string().max(256)).max(1000).default([]),
  /** The rule's step as the operator saw it; left out: as it is. */
  expectStep: z.int().nonnegative().optional(),
});

export type StepOrder = z.infer<typeof stepOrder>;

export const pauseOrder = z.strictObject({ reason: reason.min(1, 'say why') });
export const resumeOrder = z.strictObject({});
export const breakerOrder = z.strictObject({ prefix, allow: z.boolean() });
export const panicOrder = z.strictObject({ prefix: prefix.default(''), reason: reason.default('panic') });
export const verifyOrder = z.strictObject({
  prefix: prefix.default(''),
  /** Left out: keys, and where the prefix is empty the catalog as well while it is moved. */
  kind: kind.optional(),
});

export type VerifyOrder = z.infer<typeof verifyOrder>;
export const repairOrder = z.strictObject({ keys: z.array(prefix).max(1_000_000) });
export const acceptSourceOrder = z.strictObject({ reason: reason.min(1, 'say why') });
export const rehearseOrder = z.strictObject({ reason: reason.default('') });
export const keepHereOrder = z.strictObject({ keys: z.array(prefix).min(1).max(10_000) });

/** What a wrong body is answered with: one line. */
export function formProblem(error: z.ZodError): string {
  return error.issues
    .slice(0, 5)
    .map(({ path, message }) => (path.length === 0 ? message : `${path.join('.')}: ${message}`))
    .join('; ');
}

const ruleName = { of: kind, prefix };
const waitMs = z.number().min(0).max(600_000);
const position = z.object({ origin: z.string().max(64), seq: z.number().int().nonnegative() });

export type Position = z.infer<typeof position>;

export const actingCall = z.object({ ...ruleName, step: z.int().nonnegative(), waitMs });
export const holdCall = z.object({
  id: z.string().max(128),
  ...ruleName,
  step: z.int().nonnegative(),
  forMs: z.number().min(1).max(10_000),
});
export const holdAnswer = z.object({
  /** Writes that were not done when the time was over. */
  open: z.int().nonnegative(),
  head: position,
  highestIndex: z.number(),
});
export type HoldAnswer = z.infer<typeof holdAnswer>;
export const releaseCall = z.object({ id: z.string().max(128) });
export const headsCall = z.object({ heads: z.array(position).max(10_000), waitMs });
export const compareCall = z.object({ ...ruleName, waitMs });
export const compareAnswer = z.object({
  entries: z.int().nonnegative(),
  changed: z.int().nonnegative(),
  head: position,
});
export const drainCall = z.object({
  of: kind.default('kv'),
  prefix,
  waitMs,
  /** What must be here before it is known what is to be drained. */
  heads: z.array(position).max(10_000).default([]),
});
export const drainAnswer = z.object({ drained: z.boolean(), differing: z.int().nonnegative() });
export const panicCall = z.object({ prefix, reason });
