import { replicationMessage, type ReplicationMessage } from '../replication/messages.ts';
import { swimMessage, type SwimMessage } from '../swim/messages.ts';
import { fromBytes, MalformedError, toBytes, type Schema } from '../wire/schema.ts';
import { rpcMessage, type RpcMessage } from './rpc-messages.ts';

/** Everything that gateways say to each other, by the machine that it is for. */
export type Message =
  | { readonly family: 'swim'; readonly body: SwimMessage }
  | { readonly family: 'replication'; readonly body: ReplicationMessage }
  | { readonly family: 'rpc'; readonly body: RpcMessage };

// Kinds are numbered family by family: 1 to 31 membership, 32 to 63 replication, 64 to 95 questions.
const firstOfReplication = 32;
const firstOfRpc = 64;

/** @throws MalformedError when the bytes are no message that this version knows */
export function decodeMessage(raw: Uint8Array): Message {
  return fromBytes(anyMessage, raw, 'message');
}

export function encodeMessage(message: Message): Uint8Array {
  return toBytes(anyMessage, message);
}

const anyMessage: Schema<Message> = {
  pack: (message) => {
    switch (message.family) {
      case 'swim':
        return swimMessage.pack(message.body);
      case 'replication':
        return replicationMessage.pack(message.body);
      case 'rpc':
        return rpcMessage.pack(message.body);
    }
  },
  unpack: (raw, at) => {
    const number: unknown = Array.isArray(raw) ? raw[0] : undefined;
    if (typeof number !== 'number') throw new MalformedError(`${at}: not a message`);
    if (number < firstOfReplication) return { family: 'swim', body: swimMessage.unpack(raw, at) };
    if (number < firstOfRpc) return { family: 'replication', body: replicationMessage.unpack(raw, at) };
    return { family: 'rpc', body: rpcMessage.unpack(raw, at) };
  },
};
