import type { MachineFleet } from '../compat/fleet/machine-fleet.ts';
import { isLive } from '../compat/fleet/members.ts';
import { packRequest, unpackReply } from '../compat/http/foreign.ts';
import { parseGoDuration } from '../compat/wire/go-duration.ts';
import type { ApiRequest, Reply } from '../compat/wire/http.ts';
import { Query } from '../compat/wire/query.ts';
import type { RemoteAsk } from '../compat/dns/remote-catalog.ts';

/** What a request takes there beside its wait, and the way there and back. */
const answerMsMax = 10_000;
/** Consul's longest wait of a blocking query with its jitter, and its default. */
const waitMsMax = 640_000;
const waitMsDefault = 320_000;

/** How to hand a request to a datacenter that this gateway met in the WAN pool: to its nearest gateway that lives. */
export function otherDatacenter(
  fleet: MachineFleet,
  datacenter: string,
): ((request: ApiRequest) => Promise<Reply>) | undefined {
  const there = fleet.members('wan').filter((view) => view.facts.datacenter === datacenter && isLive(view));
  const nearest = there.toSorted((a, b) => (a.rttMs ?? Infinity) - (b.rttMs ?? Infinity))[0];
  if (nearest === undefined) return undefined;
  return async (request) => {
    const waitMs = answerMsMax + waitOf(request);
    const result = await fleet.call(nearest.facts.id, 'http', packRequest(request), waitMs, 'wan');
    if (!result.ok) throw new Error(`${nearest.facts.name}: ${result.error}`);
    return unpackReply(result.body);
  };
}

/** How long a blocking query may wait; none where it does not block. */
function waitOf({ query }: ApiRequest): number {
  if (!query.has('index')) return 0;
  const wait = parseGoDuration(query.get('wait'));
  return wait.ok && query.get('wait') !== '' ? Math.min((wait.value / 1e6) * 1.1, waitMsMax) : waitMsDefault;
}

/** As a name server asks: by path, no questions of its own. */
export function catalogOfOther(fleet: MachineFleet, datacenter: string): RemoteAsk | undefined {
  const handOn = otherDatacenter(fleet, datacenter);
  if (handOn === undefined) return undefined;
  return (path) => {
    const [name = '', query = ''] = path.split('?');
    return handOn({
      ...{ method: 'GET', path: name, rest: '', body: new Uint8Array(), remoteAddress: '', token: '' },
      query: Query.parse(`${query}&dc=${encodeURIComponent(datacenter)}`) ?? Query.empty,
      header: () => undefined,
    });
  };
}
