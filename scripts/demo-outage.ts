import { readKey, until, writeKey, type Answer } from './demo-client.ts';
import { gatewayName, regions, type Fleet, type Region } from './demo-fleet.ts';
import { capture, grapevine, show } from './demo-processes.ts';
import { heading, ms, seen } from './demo-terminal.ts';

// One region is away: what goes on, what does not and why, and its return.

const lost: Region = 'ap';
const others = regions.filter((region) => region !== lost);
/** A write waits so long for an owner that may be back any moment (`performance.rpc_hold_timeout`), and some more. */
const refusedMsMax = 12_000;
const noticedMsMax = 20_000;
const backMsMax = 30_000;

export async function showOutage(fleet: Fleet): Promise<void> {
  const { gateways, links } = fleet;
  if (links === undefined) {
    heading(`Region ${lost} fails (kill -9)`);
    await gateways[lost].kill();
  } else {
    heading(`Region ${lost} is cut off from the others`);
    for (const other of others) links.cut(lost, other);
  }
  const up = links === undefined ? others : regions;
  const [held] = await Promise.all([
    writeKey(gateways.eu.url, 'ap/demo/while-away', 'eu'),
    showReads(fleet, up),
    showAccepted(fleet, 'us', 'eu/demo/from-us'),
    ...(links === undefined ? [] : [showAccepted(fleet, lost, 'ap/demo/from-ap')]),
  ]);
  sayRefused(held, 'PUT ap/demo/while-away at gateway-eu');
  const noticed = await until(async () => (await stateSeen(fleet)) === 'failed', noticedMsMax);
  seen(noticed !== undefined, `gateway-eu says of gateway-ap: ${await stateSeen(fleet)}`);
  sayRefused(await writeKey(gateways.eu.url, 'ap/demo/while-away', 'eu'), 'The same again');
}

export async function showReturn(fleet: Fleet): Promise<void> {
  const { gateways, links } = fleet;
  heading(`Region ${lost} comes back`);
  if (links === undefined) {
    await gateways[lost].restart();
  } else {
    for (const other of others) links.heal(lost, other);
  }
  const [there, back, writable] = await Promise.all([
    until(async () => (await readKey(gateways[lost].url, 'eu/demo/from-us')) === 'us', backMsMax),
    links === undefined
      ? 0
      : until(async () => {
          const read = await Promise.all(
            others.map((each) => readKey(gateways[each].url, 'ap/demo/from-ap')),
          );
          return read.every((value) => value === lost);
        }, backMsMax),
    until(async () => (await writeKey(gateways.eu.url, 'ap/demo/after', 'eu')).text === 'true', backMsMax),
  ]);
  seen(there !== undefined, `gateway-ap has what was written elsewhere: ${after(there)}`);
  if (links !== undefined) seen(back !== undefined, `The others have what was written in ap: ${after(back)}`);
  seen(writable !== undefined, `PUT ap/demo/after at gateway-eu is accepted again: ${after(writable)}`);
  const key = links === undefined ? 'ap/demo/after' : 'ap/demo/from-ap';
  await show(grapevine, ['why', key, `-http-addr=${gateways.eu.url}`]);
}

async function showReads({ gateways }: Fleet, up: readonly Region[]): Promise<void> {
  const keys = regions.map((region) => `${region}/shop/currency`);
  const reads = await Promise.all(
    up.flatMap((region) => keys.map(async (key) => (await readKey(gateways[region].url, key)) !== undefined)),
  );
  const good = reads.filter(Boolean).length;
  seen(
    good === reads.length,
    `Reads go on at ${up.map(gatewayName).join(', ')}: ${good} of ${reads.length} answered, of keys of all regions`,
  );
}

async function showAccepted({ gateways }: Fleet, through: Region, key: string): Promise<void> {
  const { status, text, ms: tookMs } = await writeKey(gateways[through].url, key, through);
  const how = status === 200 && text === 'true' ? 'accepted' : `${status} ${text}`;
  seen(how === 'accepted', `PUT ${key} at ${gatewayName(through)}: ${how} after ${ms(tookMs)}`);
}

function sayRefused({ status, text, ms: tookMs }: Answer, what: string): void {
  const refused = status === 500 && text.startsWith('No cluster leader');
  seen(refused && tookMs < refusedMsMax, `${what}: ${status} after ${ms(tookMs)}\n    ${text}`);
}

async function stateSeen({ gateways }: Fleet): Promise<string> {
  const { output } = await capture(grapevine, ['members', '-json', `-http-addr=${gateways.eu.url}`]);
  const members = JSON.parse(output) as readonly { readonly Name: string; readonly State: string }[];
  return members.find(({ Name }) => Name === gatewayName(lost))?.State ?? 'not known';
}

function after(tookMs: number | undefined): string {
  return tookMs === undefined ? `not within ${backMsMax / 1000} s` : `${ms(tookMs)} later`;
}
