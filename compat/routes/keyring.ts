import { compareUtf8 } from '../../src/kernel/utf8-order.ts';
import type { KeyringOrder, KeyringReport } from '../fleet/port.ts';
import { multiError } from '../wire/catalog-decode.ts';
import { decodeGoBase64 } from '../wire/go-base64.ts';
import { parseGoBool } from '../wire/go-numbers.ts';
import { empty, failure, json, type ApiRequest, type Reply, type RouteResult } from '../wire/http.ts';
import { answered } from './answered.ts';
import { decodeBody } from './catalog-write.ts';
import type { RouteContext } from './context.ts';
import type { Handler, Route } from './route.ts';

/** Relays that Serf allows for an answer. */
const relayFactorMax = 5;

/** GET /v1/operator/keyring?local-only=…&relay-factor=… */
function listRoute(request: ApiRequest, context: RouteContext): RouteResult {
  const refusal = badRelayFactor(request);
  if (refusal !== undefined) return refusal;
  const localOnly = localOnlyOf(request);
  if (typeof localOnly !== 'boolean') return localOnly;
  const { keyring } = context.agent.fleet;
  if (keyring === undefined) return unencrypted(context, 'Keyring is empty');
  const { datacenter } = context.gateway;
  const pretty = request.query.has('pretty');
  const list = async (): Promise<Reply> => {
    const reports = await keyring.run({ kind: 'list', localOnly });
    const asked = inOrder(reports).filter(({ pool }) => !localOnly || pool === 'lan');
    return (
      problemsOf(asked, datacenter) ??
      json(
        asked.map((report) => row(report, datacenter)),
        pretty,
      )
    );
  };
  return { kind: 'later', reply: list() };
}

/** POST installs, PUT uses, DELETE removes the key of the body. */
function change(kind: Exclude<KeyringOrder['kind'], 'list'>): Handler {
  return (request, context) => {
    const body = decodeBody(request, 'agent.keyringArgs');
    if (!body.ok) return body.error;
    const key = body.value.string('Key');
    if (body.value.problem !== undefined) return failure(400, `Request decode failed: ${body.value.problem}`);
    const refusal = badRelayFactor(request);
    if (refusal !== undefined) return refusal;
    const localOnly = localOnlyOf(request);
    if (typeof localOnly !== 'boolean') return localOnly;
    if (localOnly) {
      return failure(400, 'Invalid use of local-only: local-only can only be set for list requests');
    }
    const { keyring } = context.agent.fleet;
    if (keyring === undefined) return unencrypted(context, 'No keyring to modify');
    const { datacenter } = context.gateway;
    const decoded = decodeGoBase64(key);
    if (!decoded.ok) {
      return answered(
        failure(500, multiError(poolNames(datacenter).map((pool) => `${pool} error: ${decoded.error}`))),
      );
    }
    const order = async (): Promise<Reply> =>
      problemsOf(inOrder(await keyring.run({ kind, key })), datacenter) ?? empty;
    return { kind: 'later', reply: order() };
  };
}

function badRelayFactor({ query }: ApiRequest): Reply | undefined {
  const text = query.get('relay-factor');
  if (text === '') return undefined;
  if (!/^[+-]?\d+$/.test(text)) {
    return failure(
      400,
      `Error parsing relay factor: strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`,
    );
  }
  const factor = Number(text);
  if (factor >= 0 && factor <= relayFactorMax) return undefined;
  return failure(400, `Invalid relay-factor: Relay factor must be in range: [0, ${relayFactorMax}]`);
}

function localOnlyOf({ query }: ApiRequest): boolean | Reply {
  const text = query.get('local-only');
  if (text === '') return false;
  return (
    parseGoBool(text) ??
    failure(
      400,
      `Error parsing local-only: strconv.ParseBool: parsing ${JSON.stringify(text)}: invalid syntax`,
    )
  );
}

/** The WAN pool first. */
function inOrder(reports: readonly KeyringReport[]): readonly KeyringReport[] {
  return reports.toSorted((a, b) => Number(b.pool === 'wan') - Number(a.pool === 'wan'));
}

/** How many members have each key. */
function row({ pool, asked, answers }: KeyringReport, datacenter: string) {
  const keys = answers.flatMap((answer) => (answer.ok ? answer.keys : []));
  const primaries = answers.flatMap((answer) => (answer.ok ? [answer.primary] : []));
  return {
    WAN: pool === 'wan',
    Datacenter: datacenter,
    Segment: '',
    Keys: counted(keys),
    PrimaryKeys: counted(primaries),
    NumNodes: asked,
  };
}

function counted(keys: readonly string[]): Readonly<Record<string, number>> {
  const counts = new Map<string, number>();
  for (const key of keys.toSorted(compareUtf8)) counts.set(key, (counts.get(key) ?? 0) + 1);
  return Object.fromEntries(counts);
}

/** Consul's summary of what went wrong where; undefined when nothing did. */
function problemsOf(reports: readonly KeyringReport[], datacenter: string): Reply | undefined {
  const problems = reports.flatMap(({ pool, asked, answers }) => {
    const failed = answers.flatMap((answer) => (answer.ok ? [] : [`${answer.node}: ${answer.error}`]));
    const name = poolName(pool, datacenter);
    if (failed.length > 0) {
      return [`${name} error: ${failed.length}/${asked} nodes reported failure`, ...failed.toSorted()];
    }
    if (answers.length === asked) return [];
    return [`${name} error: ${answers.length}/${asked} nodes reported success`];
  });
  return problems.length === 0 ? undefined : failure(500, multiError(problems));
}

function poolName(pool: KeyringReport['pool'], datacenter: string): string {
  return pool === 'wan' ? 'WAN' : `${datacenter} (LAN)`;
}

function poolNames(datacenter: string): readonly string[] {
  return [poolName('wan', datacenter), poolName('lan', datacenter)];
}

/** Gossip that is not encrypted has no keyring; in the words of Serf. */
function unencrypted({ gateway }: RouteContext, what: string): RouteResult {
  const { nodeName, datacenter } = gateway;
  const why = `${what} (encryption not enabled)`;
  const problems = [
    'WAN error: 1/1 nodes reported failure',
    `${nodeName}.${datacenter}: ${why}`,
    `${datacenter} (LAN) error: 1/1 nodes reported failure`,
    `${nodeName}: ${why}`,
  ];
  return answered(failure(500, multiError(problems)));
}

export const keyringRoutes: readonly Route[] = [
  {
    path: '/v1/operator/keyring',
    methods: {
      GET: listRoute,
      POST: change('install'),
      PUT: change('use'),
      DELETE: change('remove'),
    },
    common: 'none',
    state: 'differs',
    note: '`relay-factor` is checked and passed over: answers come straight from each gateway.',
  },
];
