import { expect, test } from '@jest/globals';
import { runChaos } from './chaos/run.ts';

// A longer one, with fresh seeds: npm run chaos.
const seconds = Number(process.env['GRAPEVINE_CHAOS_SECONDS'] ?? 40);
const seed = process.env['GRAPEVINE_SEED'] ?? '1';

test(
  'under kills, pauses, cuts, handoffs and a full disk nothing acknowledged is lost and all become equal again',
  async () => {
    const lines: string[] = [];
    const startedMs = performance.now();
    const log = (text: string): void =>
      void lines.push(`${((performance.now() - startedMs) / 1000).toFixed(2)} s: ${text}`);
    try {
      const { problems, summary } = await runChaos({ seed, ms: seconds * 1000, log });
      console.log(summary);
      expect(problems).toEqual([]);
    } catch (error) {
      console.log(lines.join('\n'));
      throw error;
    }
  },
  (seconds + 240) * 1000,
);
