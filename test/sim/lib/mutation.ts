import type { GatewayMachine } from '../../../src/node/gateway-machine.ts';
import type { MachineOptions } from '../../../src/node/machine-port.ts';
import type { Store } from '../../../src/state/store.ts';
import type { Fleet } from './fleet.ts';
import type { Rng } from './rng.ts';

/** A way to break the gateways on purpose, to see that the checks notice. */
export interface Mutation {
  readonly name: string;
  /** What the machine sees as its store. */
  readonly store?: (store: Store) => Store;
  /** Changes the machine after it was made. */
  readonly machine?: (machine: GatewayMachine) => void;
  readonly options?: (options: MachineOptions) => MachineOptions;
  readonly handoff?: (fleet: Fleet, rng: Rng) => string;
}

export const noMutation: Mutation = { name: 'none' };
