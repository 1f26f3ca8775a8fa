import type { Interceptor } from '../../../../compat/http/interceptor.ts';
import { routeTable } from '../../../../compat/routes/table.ts';
import { openDual, type DualPart } from '../../../../migration/live/dual/open-dual.ts';
import type { GatewayMember, GatewayPort, SourceSettings } from '../../../../migration/live/gateway-port.ts';
import type { HoldGate, Observed, PartContext } from '../../../../migration/live/ports.ts';
import { SourceClient } from '../../../../migration/live/proxy/source-client.ts';
import type { Strategies } from '../../../../migration/live/route/interceptor.ts';
import type { Command, CommandOutcome } from '../../../../src/state/command.ts';
import type { Store } from '../../../../src/state/store.ts';
import { FrontDoor } from '../../../compat/http/harness.ts';
import { FakePhases, LiveGateway, partContext, sourceSettings } from '../../../support/live-gateway.ts';

/** A gateway port on the state machine behind a front door. */
class DoorGateway implements GatewayPort {
  readonly door: FrontDoor;
  readonly base = new LiveGateway();
  readonly nodeId = this.base.nodeId;
  readonly nodeName = this.base.nodeName;
  readonly datacenter = this.base.datacenter;
  readonly clock = this.base.clock;
  /** Set to let time pass. */
  passedMs: () => number = () => 0;
  readonly monoMs = (): number => this.base.monoMs() + this.passedMs();
  readonly random = this.base.random;
  readonly log = this.base.log;
  readonly view: Store;
  /** How often each counter was raised. */
  readonly counts = new Map<string, number>();
  readonly metrics = {
    counter: (name: string, labels: Readonly<Record<string, string>> = {}) => {
      const whole = [name, ...Object.values(labels)].join(' ');
      return (by = 1): void => void this.counts.set(whole, (this.counts.get(whole) ?? 0) + by);
    },
    gauge: (): void => {},
    histogram: () => (): void => {},
  };
  /** What is proposed may be refused by a test. */
  refuse: (command: Command) => CommandOutcome | undefined = () => undefined;
  /** Or come later. */
  delay: (command: Command) => Promise<void> | undefined = () => undefined;

  constructor(door: FrontDoor) {
    this.door = door;
    this.view = door.machine.store;
  }

  async propose(command: Command): Promise<CommandOutcome> {
    const delayed = this.delay(command);
    if (delayed !== undefined) await delayed;
    const refused = this.refuse(command);
    if (refused !== undefined) return refused;
    return new Promise((resolve) => this.door.loop.propose(command, resolve));
  }

  onCommit(listener: (touched: ReadonlySet<string>) => void): () => void {
    return this.door.loop.onCommit(listener);
  }

  gateways = (): readonly GatewayMember[] => this.base.gateways();
  onGatewaysChanged = (): (() => void) => this.base.onGatewaysChanged();
  call = (nodeName: string, topic: string, body: unknown): Promise<unknown> =>
    this.base.call(nodeName, topic, body);
  serve = (...served: Parameters<GatewayPort['serve']>): void => this.base.serve(...served);
  ownerOf = (): string => this.nodeId;
  ownHead = (): { readonly origin: string; readonly seq: number } => this.base.ownHead();
  untilSeen = (): Promise<void> => Promise.resolve();
}

/** A gateway's front door in a migration: requests by HTTP, and the parts to look at. */
export class MigratingDoor {
  readonly door: FrontDoor;
  readonly gateway: DoorGateway;
  readonly phases: FakePhases;
  readonly client: SourceClient | undefined;
  readonly part: DualPart;
  readonly observed: Observed[] = [];
  readonly acknowledged: { readonly key: string; readonly index: number; readonly deleted: boolean }[] = [];
  /** Set to hold writes. */
  hold: HoldGate = { held: () => undefined };

  constructor(
    address: string | undefined,
    phases: FakePhases,
    more: Partial<SourceSettings> & { readonly strategies?: Strategies; readonly passMs?: () => number } = {},
  ) {
    const { strategies, passMs, ...limits } = more;
    this.phases = phases;
    const asked = (): Interceptor => this.part.interceptor;
    this.door = new FrontDoor({
      routes: routeTable,
      dispatcher: {
        interceptor: {
          intercept: (...request) => asked().intercept(...request),
          watches: (...request) => asked().watches?.(...request),
          passes: (path) => asked().passes?.(path) === true,
        },
      },
    });
    this.gateway = new DoorGateway(this.door);
    if (passMs !== undefined) this.gateway.passedMs = passMs;
    const settings = sourceSettings(address ?? 'none:1', limits);
    this.client = address === undefined ? undefined : new SourceClient(this.gateway, settings);
    const base = partContext(this.gateway, phases, settings);
    const context: PartContext = {
      ...base,
      client: this.client,
      hold: { held: (of, key) => this.hold.held(of, key) },
      evidence: {
        observed: (each) => void this.observed.push(each),
        acknowledged: (each) => void this.acknowledged.push(each),
        mark: () => {},
      },
    };
    this.part = openDual(context, strategies);
  }

  async open(): Promise<this> {
    this.part.start();
    await this.door.open();
    return this;
  }

  async close(): Promise<void> {
    await this.part.stop();
    this.client?.close();
    await this.door.close();
  }
}
