import type { z } from 'zod';
import type {
  MigrationAnswer,
  MigrationOrder,
  MigrationPort,
  MigrationQuestion,
} from '../../../compat/routes/migration-port.ts';
import { authorityOf, type PhaseRule } from '../../../src/state/migration.ts';
import type { ConsulReader } from '../../source/consul-reader.ts';
import type { EvidenceSnapshot } from '../../evidence/snapshot.ts';
import type { LivePart, PartContext } from '../ports.ts';
import { localFacts } from './facts.ts';
import { GateLooks } from './gate-looks.ts';
import { callLong, serveLong } from './long-call.ts';
import {
  acceptSourceOrder,
  actingCall,
  breakerOrder,
  formProblem,
  keepHereOrder,
  panicCall,
  panicOrder,
  pauseOrder,
  rehearseOrder,
  repairOrder,
  resumeOrder,
  stepOrder,
  verifyOrder,
} from './order-forms.ts';
import type { Pauses } from './pauses.ts';
import type { ReplicaPhases } from './phases.ts';
import { planMigration } from './plan.ts';
import { isOfRehearsals, rehearsalPrefix } from './rehearsals.ts';
import { rehearse } from './rehearse.ts';
import type { Stepper, StepperParts } from './stepper.ts';
import { verify, type SweepRule } from './verify.ts';

export interface OperatorParts extends StepperParts {
  readonly stepper: Stepper;
  readonly phases: ReplicaPhases;
  /** Undefined: this gateway has no source. */
  readonly reader: ConsulReader | undefined;
  readonly pauses: Pauses;
  /** Takes another cluster that answers at the source's address as the source. False: none does. */
  readonly acceptSource: () => boolean;
  /** What status shows of each part. */
  readonly named: Readonly<Record<string, Pick<LivePart, 'status'>>>;
  /** The report and its samples, where a part makes them. */
  readonly report?: (
    what: 'report' | 'samples',
    query: Readonly<Record<string, string>>,
  ) => Promise<MigrationAnswer>;
  readonly sweep?: SweepRule;
  /** Of all gateways. */
  readonly gathered: () => Promise<EvidenceSnapshot>;
}

const noSource: MigrationAnswer = { status: 409, body: 'no gateway that lives has the source configured' };
/** Orders that take as long as there is to be read. */
const longMs = 600_000;
const shortMs = 5000;
const quarantineMax = 1000;

interface Asked {
  readonly body: unknown;
  /** Another gateway had it first. */
  readonly handedOn: boolean;
}

/** What operators ask and order, over HTTP and from other gateways. */
export function operatorPort(context: PartContext, parts: OperatorParts): MigrationPort {
  const { gateway, runner } = context;
  const { phases, stepper } = parts;
  const looks = new GateLooks(context, parts, parts.gathered);

  /** Hands an order to the gateway that has to do it. */
  const handTo = async (
    nodeName: string | undefined,
    what: MigrationOrder | MigrationQuestion,
    { body, handedOn }: Asked,
    here: () => Promise<MigrationAnswer>,
  ): Promise<MigrationAnswer> => {
    if (nodeName === undefined) return noSource;
    if (nodeName === gateway.nodeName) return here();
    // Two that take each other for the one to do it would go on for ever. What only reads, any of them may do.
    if (handedOn && parts.reader !== undefined && (what === 'plan' || what === 'verify')) return here();
    if (handedOn) return { status: 409, body: `that is ${nodeName}'s to do by now: try again` };
    try {
      return (await callLong(gateway, nodeName, 'order', { what, body }, longMs)) as MigrationAnswer;
    } catch (error) {
      return { status: 500, body: error instanceof Error ? error.message : String(error) };
    }
  };
  const ownerOf = (prefix: string): string | undefined => {
    const id = gateway.ownerOf(prefix);
    return gateway.gateways().find(({ nodeId }) => nodeId === id)?.nodeName;
  };

  const step = async (asked: Asked): Promise<MigrationAnswer> => {
    const order = stepOrder.safeParse(asked.body);
    if (!order.success) return wrong(order.error);
    const owner = ownerOf(order.data.prefix);
    if (owner === undefined)
      return { status: 409, body: 'the gateway that owns the zone of this prefix is no member' };
    return handTo(owner, 'step', asked, async () => {
      const result = await stepper.step(order.data);
      return 'refused' in result
        ? { status: result.status, body: result.refused }
        : { status: 200, body: result };
    });
  };

  const panic = async ({ body }: Asked): Promise<MigrationAnswer> => {
    const order = panicOrder.safeParse(body);
    if (!order.success) return wrong(order.error);
    const { prefix, reason } = order.data;
    // Here at once; then everywhere; then for good.
    const meant = phases.panic(prefix);
    const others = gateway.gateways().filter(({ alive, nodeId }) => alive && nodeId !== gateway.nodeId);
    const told = await Promise.all(
      others.map(({ nodeName }) =>
        gateway.call(nodeName, 'panic', { prefix, reason }, shortMs).then(
          () => undefined,
          (error: unknown) => `${nodeName}: ${error instanceof Error ? error.message : String(error)}`,
        ),
      ),
    );
    const steps = await Promise.all(meant.map((rule) => panicStep(rule, reason)));
    const left = phases.rules.filter(
      ({ phase, prefix: at }) => at.startsWith(prefix) && authorityOf(phase) === 'here',
    );
    return {
      status: 200,
      body: {
        passthrough: meant.map(({ of, prefix: at }) => ({ kind: of, prefix: at })),
        problems: [...told, ...steps].filter((each) => each !== undefined),
        stillHere: left.map(({ of, prefix: at, phase }) => ({ kind: of, prefix: at, phase })),
        message:
          left.length === 0
            ? 'everything below the prefix goes to the source'
            : `where this fleet decides, the way back is a step: "grapevine migrate phase PREFIX ${wayBack(left)}", then panic again`,
      },
    };
  };

  const panicStep = async (rule: PhaseRule, reason: string): Promise<string | undefined> => {
    if (rule.step === 0) return undefined;
    const outcome = await gateway.propose({
      ...{
        kind: 'migration-step',
        of: rule.of,
        prefix: rule.prefix,
        phase: 'passthrough',
        expectStep: rule.step,
      },
      ...{ reason, overridden: [], fences: [] },
    });
    if (outcome.kind === 'migration') return undefined;
    const why = 'message' in outcome ? outcome.message : 'the owner of its zone cannot be reached';
    return `${rule.of} ${JSON.stringify(rule.prefix)}: ${why}`;
  };

  const withTail = (what: MigrationOrder, asked: Asked, work: () => unknown): Promise<MigrationAnswer> =>
    handTo(runner.nodeName, what, asked, () => {
      const said = work();
      return Promise.resolve(
        said === false
          ? { status: 404, body: 'nothing waits for an answer there' }
          : { status: 200, body: {} },
      );
    });

  /** Every gateway keeps it: who copies next copies no more than this one. */
  const pausing = async (reason: string | null): Promise<MigrationAnswer> => {
    const copies = runner.nodeName;
    if (copies === undefined) return noSource;
    const untold = await parts.pauses.set(reason);
    return untold.includes(copies)
      ? { status: 500, body: `${copies}, which copies, could not be told: try again` }
      : { status: 200, body: {} };
  };

  const orders: Readonly<Record<MigrationOrder, (asked: Asked) => Promise<MigrationAnswer>>> = {
    step,
    panic,
    pause: async (asked) => {
      const order = pauseOrder.safeParse(asked.body);
      return order.success ? pausing(order.data.reason) : wrong(order.error);
    },
    resume: async (asked) => {
      const order = resumeOrder.safeParse(asked.body);
      return order.success ? pausing(null) : wrong(order.error);
    },
    'accept-source': async (asked) => {
      const order = acceptSourceOrder.safeParse(asked.body);
      if (!order.success) return wrong(order.error);
      return handTo(runner.nodeName, 'accept-source', asked, () => {
        if (!parts.acceptSource())
          return Promise.resolve({ status: 404, body: "no other cluster answers at the source's address" });
        gateway.log.warn({ reason: order.data.reason }, 'another cluster was accepted as the source');
        return Promise.resolve({ status: 200, body: {} });
      });
    },
    breaker: async (asked) => {
      const order = breakerOrder.safeParse(asked.body);
      if (!order.success) return wrong(order.error);
      const { prefix, allow } = order.data;
      return withTail('breaker', asked, () => parts.tail?.answerBreaker(prefix, allow));
    },
    verify: async (asked) => {
      const order = verifyOrder.safeParse(asked.body);
      if (!order.success) return wrong(order.error);
      if (order.data.kind === 'catalog' && order.data.prefix !== '')
        return { status: 400, body: 'the catalog has one rule, and its prefix is empty' };
      return handTo(runner.nodeName, 'verify', asked, async () => {
        const { reader, sweep } = parts;
        if (reader === undefined) return noSource;
        return { status: 200, body: await verify(context, { reader, sweep }, order.data) };
      });
    },
    repair: async (asked) => {
      const order = repairOrder.safeParse(asked.body);
      if (!order.success) return wrong(order.error);
      const wanted = order.data.keys.filter((key) => {
        const rule = phases.ofKey(key);
        return rule !== undefined && rule.phase !== 'passthrough' && authorityOf(rule.phase) === 'source';
      });
      parts.dual.repair(wanted);
      return {
        status: 200,
        body: { queued: wanted.length, passedOver: order.data.keys.length - wanted.length },
      };
    },
    rehearse: async (asked) => {
      const order = rehearseOrder.safeParse(asked.body);
      if (!order.success) return wrong(order.error);
      return handTo(ownerOf(rehearsalPrefix), 'rehearse', asked, async () => {
        if (parts.reader === undefined) return noSource;
        const { tail, rehearsals, reader } = parts;
        return { status: 200, body: await rehearse(context, { stepper, rehearsals, tail, reader }) };
      });
    },
    'quarantine-drop': async (asked) => {
      const order = keepHereOrder.safeParse(asked.body);
      if (!order.success) return wrong(order.error);
      return handTo(ownerOf(order.data.keys[0] ?? ''), 'quarantine-drop', asked, async () => {
        await parts.reverse.keepHere(order.data.keys);
        return { status: 200, body: { keys: order.data.keys.length } };
      });
    },
  };

  const own = (): object => ({
    node: gateway.nodeName,
    runner: runner.nodeName ?? null,
    hasSource: context.client !== undefined,
    known: phases.known,
    rules: phases.rules.map(({ of, prefix, phase, step: at }) => {
      const { tail, ...rest } = localFacts(context, parts, of, prefix);
      const { dual } = parts;
      return {
        ...{
          kind: of,
          prefix,
          phase,
          step: at,
          open: dual.open(of, prefix),
          older: dual.older(of, prefix, at),
        },
        ...rest,
        tail: tail === undefined ? null : { ...tail, lagMs: finite(tail.lagMs) },
      };
    }),
    parts: Object.fromEntries(Object.entries(parts.named).map(([name, part]) => [name, part.status()])),
    steps: stepper.facts,
  });

  const questions: Readonly<
    Record<
      MigrationQuestion,
      (query: Readonly<Record<string, string>>, handedOn: boolean) => Promise<MigrationAnswer>
    >
  > = {
    status: async () => {
      const members = gateway.gateways();
      const gateways = await Promise.all(
        members.map(async ({ nodeName, alive, nodeId }) => {
          if (nodeId === gateway.nodeId) return { name: nodeName, alive, status: own(), problem: null };
          try {
            const status = await gateway.call(nodeName, 'control-status', {}, shortMs);
            return { name: nodeName, alive, status, problem: null };
          } catch (error) {
            return {
              name: nodeName,
              alive,
              status: null,
              problem: error instanceof Error ? error.message : String(error),
            };
          }
        }),
      );
      return {
        status: 200,
        body: {
          source: phases.source ?? null,
          runner: runner.nodeName ?? null,
          rules: phases.rules.map((rule) => ({
            ...{ ...rule, kind: rule.of },
            ...(isOfRehearsals(rule) ? { rehearsal: true } : {}),
          })),
          rehearsal: parts.rehearsals.last() ?? null,
          gateways,
        },
      };
    },
    gates: async () => ({ status: 200, body: await looks.look() }),
    plan: (query, handedOn) =>
      handTo(runner.nodeName, 'plan', { body: query, handedOn }, async () => {
        if (parts.reader === undefined) return noSource;
        const used: Record<string, number> = {};
        await Promise.all(
          gateway
            .gateways()
            .filter(({ alive }) => alive)
            .map(async ({ nodeName }) => {
              const told = await gateway.call(nodeName, 'used-endpoints', {}, shortMs).catch(() => ({}));
              for (const [path, count] of Object.entries(told as Record<string, number>)) {
                used[path] = (used[path] ?? 0) + count;
              }
            }),
        );
        return { status: 200, body: await planMigration(context, parts.reader, used) };
      }),
    quarantine: (query, handedOn) =>
      handTo(ownerOf(query['prefix'] ?? ''), 'quarantine', { body: query, handedOn }, () =>
        Promise.resolve({
          status: 200,
          body: parts.reverse.quarantined(query['prefix'] ?? '', query['after'] ?? '', quarantineMax),
        }),
      ),
    report: (query) => parts.report?.('report', query) ?? Promise.resolve(noReport),
    samples: (query) => parts.report?.('samples', query) ?? Promise.resolve(noReport),
  };

  serveLong(gateway, 'order', async (body) => {
    const { what, body: inner } = body as { readonly what: string; readonly body: unknown };
    if (Object.hasOwn(orders, what)) return orders[what as MigrationOrder]({ body: inner, handedOn: true });
    if (Object.hasOwn(questions, what)) {
      return questions[what as MigrationQuestion]((inner ?? {}) as Readonly<Record<string, string>>, true);
    }
    throw new Error('it does not know this order');
  });
  gateway.serve('panic', (body) => {
    phases.panic(panicCall.parse(body).prefix);
    return Promise.resolve({});
  });
  gateway.serve('control-status', () => Promise.resolve(own()));
  gateway.serve('used-endpoints', () => Promise.resolve(parts.dual.usedEndpoints()));
  gateway.serve('head', () => Promise.resolve(gateway.ownHead()));
  gateway.serve('facts', (body) => {
    const { of, prefix } = actingCall.pick({ of: true, prefix: true }).parse(body);
    return Promise.resolve(localFacts(context, parts, of, prefix));
  });

  return {
    ask: (what, query) => questions[what](query, false),
    order: (what, body) => orders[what]({ body, handedOn: false }).finally(() => looks.forget()),
  };
}

const noReport: MigrationAnswer = { status: 404, body: 'there is no report yet' };

function wrong(error: z.ZodError): MigrationAnswer {
  return { status: 400, body: formProblem(error) };
}

/** JSON knows no infinity. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

/** Copying back has ended where a rule is final: that begins anew first. */
function wayBack(rules: readonly PhaseRule[]): string {
  return rules.some(({ phase }) => phase === 'final')
    ? 'cutover" (from final), then "… local-reads'
    : 'local-reads';
}
