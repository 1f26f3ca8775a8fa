import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { FleetProcess } from '../support/fleet-process.ts';

describe('three gateways in three regions', () => {
  let fleet: FleetProcess;
  beforeAll(async () => {
    fleet = await FleetProcess.start({ regions: ['eu', 'us', 'ap'] });
  }, 120_000);
  afterAll(() => fleet?.close(), 60_000);

  test('a write through any of them is read where it was written, and soon everywhere', async () => {
    for (const writer of fleet.gateways) {
      await writer.putKey(`from/${writer.name}`, writer.name);
      expect((await writer.key(`from/${writer.name}`))?.value).toBe(writer.name);
      for (const reader of fleet.gateways) await reader.untilKey(`from/${writer.name}`, writer.name);
    }
    console.log(await fleet.report());
  }, 60_000);
});
