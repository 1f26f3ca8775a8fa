import { z } from 'zod';
import type { Effect } from '../../src/node/machine-port.ts';
import type { CallResult } from '../../src/node/calls.ts';
import type { UserEvent } from '../events/user-event.ts';
import type { KeyringAnswer, KeyringOrder } from './port.ts';

// What gateways ask of each other beside state: to do something with a keyring, to tell a user event, to renew a
// session that was created there. Bodies are JSON: these are rare, and small.

type Called = Omit<Extract<Effect, { readonly kind: 'called' }>, 'kind' | 'id' | 'to'>;

/** The keys of one pool on this gateway, as `Keyring` has them. */
export interface KeyringKeys {
  list(): readonly string[];
  install(key: string): { readonly ok: true } | { readonly ok: false; readonly error: string };
  use(key: string): { readonly ok: true } | { readonly ok: false; readonly error: string };
  remove(key: string): { readonly ok: true } | { readonly ok: false; readonly error: string };
}

export interface GossipServicesOptions {
  readonly nodeName: string;
  /** Undefined: gossip is not encrypted. */
  readonly keyring: KeyringKeys | undefined;
  readonly onEvent: (event: UserEvent) => void;
  /** False: no such session expires here. */
  readonly renewSession: (id: string) => boolean;
  /** A request that was handed on from another datacenter. */
  readonly http?: (body: Uint8Array) => Promise<Uint8Array>;
  /** What the migration of another gateway asks of the one of this. */
  readonly migration?: (body: Uint8Array, from: string) => Promise<Uint8Array>;
}

const keyOrder = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('list'), localOnly: z.boolean() }),
  z.object({ kind: z.enum(['install', 'use', 'remove']), key: z.string().max(256) }),
]);

const eventForm = z.object({
  id: z.string().max(64),
  name: z.string().max(1024),
  payload: z.string().max(4096),
  nodeFilter: z.string().max(1024),
  serviceFilter: z.string().max(1024),
  tagFilter: z.string().max(1024),
  version: z.number(),
  lTime: z.number().int().nonnegative(),
});

const sessionForm = z.object({ id: z.string().max(64) });
const renewedForm = z.object({ renewed: z.boolean() });

const keyringForm = z.union([
  z.object({
    node: z.string().max(256),
    ok: z.literal(true),
    keys: z.array(z.string().max(256)).max(64),
    primary: z.string().max(256),
  }),
  z.object({ node: z.string().max(256), ok: z.literal(false), error: z.string().max(1024) }),
]);

/** Answers what other gateways ask of this one. Never throws: what is malformed is answered so. */
export class GossipServices {
  readonly #options: GossipServicesOptions;

  constructor(options: GossipServicesOptions) {
    this.#options = options;
  }

  async answer(called: Called): Promise<CallResult> {
    try {
      return { ok: true, body: await this.#serve(called) };
    } catch (error) {
      return { ok: false, error: error instanceof Error ? error.message.slice(0, 1000) : 'failed' };
    }
  }

  /** An order for this gateway's own keyring. */
  orderKeyring(order: KeyringOrder): KeyringAnswer {
    const { keyring, nodeName: node } = this.#options;
    if (keyring === undefined) {
      return { node, ok: false, error: 'keyring is not enabled' };
    }
    if (order.kind !== 'list') {
      const outcome = keyring[order.kind](order.key);
      if (!outcome.ok) return { node, ok: false, error: outcome.error };
    }
    const keys = keyring.list();
    return { node, ok: true, keys, primary: keys[0] ?? '' };
  }

  async #serve({ service, body, pool, from }: Called): Promise<Uint8Array> {
    switch (service) {
      case 'keyring':
        return pack(this.orderKeyring(keyOrder.parse(unpack(body))));
      case 'event': {
        const event = eventForm.parse(unpack(body));
        this.#options.onEvent({ ...event, payload: Buffer.from(event.payload, 'base64') });
        return pack({});
      }
      case 'session':
        return pack({ renewed: this.#options.renewSession(sessionForm.parse(unpack(body)).id) });
      case 'http': {
        const { http } = this.#options;
        if (http === undefined) throw new Error('requests of other datacenters are not served here');
        return http(body);
      }
      case 'migration': {
        const { migration } = this.#options;
        if (migration === undefined) throw new Error('it does not serve migrations yet');
        if (pool !== 'lan') throw new Error('a migration is a matter of one datacenter');
        return migration(body, from);
      }
    }
  }
}

export function packEvent(event: UserEvent): Uint8Array {
  return pack({ ...event, payload: Buffer.from(event.payload).toString('base64') });
}

export function packOrder(order: KeyringOrder): Uint8Array {
  return pack(order);
}

export function packRenewal(id: string): Uint8Array {
  return pack({ id });
}

/** @throws when the answer is malformed */
export function unpackKeyring(body: Uint8Array): KeyringAnswer {
  return keyringForm.parse(unpack(body));
}

/** @throws when the answer is malformed */
export function unpackRenewal(body: Uint8Array): boolean {
  return renewedForm.parse(unpack(body)).renewed;
}

function pack(value: object): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

function unpack(body: Uint8Array): unknown {
  return JSON.parse(Buffer.from(body).toString('utf8'));
}
