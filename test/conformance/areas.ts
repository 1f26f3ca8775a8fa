import type { Area } from './harness.ts';
import { kv } from './scenarios/kv.ts';

/** All of them, for the tests that concern the scenarios themselves. */
export const areas: readonly Area[] = [kv];
