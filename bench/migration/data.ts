import { FleetClient } from '../../test/support/fleet-client.ts';

// What is moved: so many keys in a tree as teams make them, with values of a usual size.

export const prefix = 'app/';

const keysPerService = 100;
const servicesPerTeam = 50;
const operationsPerTxn = 64;
const txnsAtOnce = 8;

export function keyAt(n: number): string {
  const service = Math.floor(n / keysPerService);
  const team = Math.floor(service / servicesPerTeam);
  return `${prefix}team-${two(team)}/service-${two(service % servicesPerTeam)}/key-${two(n % keysPerService)}`;
}

/** 128 bytes. */
export function valueOf(text: string): string {
  return text.padEnd(128, '.');
}

export async function fill(url: string, keys: number): Promise<void> {
  const client = new FleetClient(url);
  let next = 0;
  const work = async (): Promise<void> => {
    while (next < keys) {
      const from = next;
      next = Math.min(keys, from + operationsPerTxn);
      const operations = Array.from({ length: next - from }, (_, at) => ({
        KV: {
          Verb: 'set',
          Key: keyAt(from + at),
          Value: Buffer.from(valueOf(`first value of ${from + at} `)).toString('base64'),
        },
      }));
      const answer = await client.put('/v1/txn', JSON.stringify(operations));
      if (answer.status !== 200)
        throw new Error(`the source was not filled: ${answer.status} ${answer.text}`);
    }
  };
  await Promise.all(Array.from({ length: txnsAtOnce }, work));
  client.close();
}

function two(n: number): string {
  return String(n).padStart(2, '0');
}
