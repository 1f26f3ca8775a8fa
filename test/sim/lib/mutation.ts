import type { GatewayMachine } from '../../../src/node/gateway-machine.ts';
import type { MachineOptions } from '../../../src/node/machine-port.ts';
import type { SimGateway } from './gateway.ts';
import type { Store } from '../../../src/state/store.ts';

/** A way to break the gateways on purpose, to see that the checks notice. */
export interface Mutation {
  readonly name: string;
  /** What the machine sees as its store. */
  readonly store?: (store: Store) => Store;
  /** Changes the machine after it was made. */
  readonly machine?: (machine: GatewayMachine, gateway: SimGateway) => void;
  readonly options?: (options: MachineOptions) => MachineOptions;
  /** Releases what a batch says before it is on disk. */
  readonly releasesFirst?: boolean;
}

export const noMutation: Mutation = { name: 'none' };
