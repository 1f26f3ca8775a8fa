import { ask, median, readKey, watchKey, writeKey } from './demo-client.ts';
import { gatewayName, regions, type Fleet, type Region } from './demo-fleet.ts';
import { ms, say, seen } from './demo-terminal.ts';

// Writes through any gateway, and a lock that two gateways are asked for at once.

const writes = 5;
/** For the work itself on a machine that also runs everything else; not for what a protocol might wait for. */
const workMsMax = 500;

/** Writes to keys of eu, through its own gateway and through the one that is farthest away. */
export async function showWrites(fleet: Fleet): Promise<void> {
  await showWritesThrough(fleet, 'eu', `PUT at gateway-eu, which owns eu/`);
  await showWritesThrough(fleet, 'ap', `PUT at gateway-ap, which hands it to gateway-eu`);
}

async function showWritesThrough(fleet: Fleet, through: Region, what: string): Promise<void> {
  const { gateways, delayMs } = fleet;
  const key = `eu/demo/through-${through}`;
  const others = regions.filter((region) => region !== through);
  const answersMs: number[] = [];
  const seenMs = new Map<Region, number[]>(others.map((region) => [region, []]));
  let ownRead = true;
  for (let i = 0; i < writes; i++) {
    const value = `${through} ${i}`;
    const watches = await Promise.all(
      others.map(async (region) => ({ region, ...(await watchKey(gateways[region].url, key, value)) })),
    );
    // The blocking queries are to be there first.
    await new Promise((resolve) => setTimeout(resolve, 30));
    const startMs = performance.now();
    const answer = await writeKey(gateways[through].url, key, value);
    ownRead &&= answer.text === 'true' && (await readKey(gateways[through].url, key)) === value;
    answersMs.push(answer.ms);
    for (const { region, seen: at } of watches) seenMs.get(region)?.push((await at) - startMs);
  }
  const roundTripMs = 2 * delayMs('eu', through);
  const far = roundTripMs === 0 ? '' : ` (${roundTripMs} ms there and back)`;
  seen(
    ownRead && median(answersMs) < roundTripMs + workMsMax,
    `${what}: answered after ${ms(median(answersMs))}${far}, and ${ownRead ? 'read there at once' : 'NOT read there'}`,
  );
  const shown = others.map((region) => {
    const oneWayMs = delayMs('eu', through) + delayMs('eu', region);
    const afterMs = median(seenMs.get(region) ?? []);
    return { region, oneWayMs, afterMs };
  });
  seen(
    shown.every(({ afterMs, oneWayMs }) => afterMs < oneWayMs + workMsMax),
    `  a blocking query has it ${shown
      .map(
        ({ region, afterMs, oneWayMs }) =>
          `in ${region} after ${ms(afterMs)}${oneWayMs === 0 ? '' : ` (${oneWayMs} ms away)`}`,
      )
      .join(', ')}`,
  );
}

/** Two clients, two gateways, one lock. */
export async function showLock({ gateways }: Fleet): Promise<void> {
  const key = 'eu/demo/lock';
  const clients = await Promise.all(
    (['us', 'ap'] as const).map(async (region) => {
      const { url } = gateways[region];
      const answer = await ask(
        'PUT',
        `${url}/v1/session/create`,
        JSON.stringify({ TTL: '60s', Name: region }),
      );
      const session = (JSON.parse(answer.text) as { readonly ID: string }).ID;
      const lock = async (verb: 'acquire' | 'release') =>
        (await ask('PUT', `${url}/v1/kv/${key}?${verb}=${session}`, region)).text === 'true';
      return { region, url, session, lock };
    }),
  );
  const won = await Promise.all(clients.map(({ lock }) => lock('acquire')));
  const winner = clients[won.indexOf(true)];
  const loser = clients[won.indexOf(false)];
  seen(
    winner !== undefined && loser !== undefined,
    `Acquire ${key} at once: ${clients.map(({ region }, i) => `through ${gatewayName(region)} ${won[i]}`).join(', ')}`,
  );
  if (winner === undefined || loser === undefined) return;
  const released = await winner.lock('release');
  const next = await loser.lock('acquire');
  seen(
    released && next,
    `The holder releases it (${released}), then the other acquires it through ${gatewayName(loser.region)}: ${next}`,
  );
  await loser.lock('release');
  for (const { url, session } of clients) await ask('PUT', `${url}/v1/session/destroy/${session}`);
}

/** Takes out what the steps wrote, so that the comparison shows the copy alone. */
export async function removeDemoKeys({ gateways }: Fleet): Promise<void> {
  for (const region of regions) {
    const { status, text } = await ask('DELETE', `${gateways.eu.url}/v1/kv/${region}/demo/?recurse`);
    if (status !== 200) throw new Error(`DELETE ${region}/demo/: ${status} ${text}`);
  }
  say('What the demo wrote (eu/demo/, us/demo/, ap/demo/) is deleted again.');
}
