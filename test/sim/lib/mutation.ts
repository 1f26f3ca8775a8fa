import type { GatewayMachine } from '../../../src/node/gateway-machine.ts';
import type { MachineOptions } from '../../../src/node/machine-port.ts';
import type { SimGateway } from './gateway.ts';
import type { Store } from '../../../src/state/store.ts';
import type { FaultKind, Plan } from './plan.ts';

/** A way to break the gateways on purpose, to see that the checks notice. */
export interface Mutation {
  readonly name: string;
  /** What the machine sees as its store. */
  readonly store?: (store: Store) => Store;
  /** Changes the machine after it was made. */
  readonly machine?: (machine: GatewayMachine, gateway: SimGateway) => void;
  readonly options?: (options: MachineOptions) => MachineOptions;
  /** Breaks what all gateways share; answers how to mend it. Called around a whole run. */
  readonly install?: () => () => void;
  /** Faults without which it does no harm. */
  readonly faults?: readonly FaultKind[];
  /** Circumstances in which it does more harm than in others. */
  readonly plan?: Partial<Plan>;
  /** Releases what a batch says before it is on disk. */
  readonly releasesFirst?: boolean;
}

export const noMutation: Mutation = { name: 'none' };
