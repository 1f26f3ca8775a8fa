import { replicationMessage, type ReplicationMessage } from '../replication/messages.ts';
import { swimMessage, type SwimMessage } from '../swim/messages.ts';
import { fromBytes, MalformedError, toBytes, type Schema } from '../wire/schema.ts';
import { rpcMessage, type RpcMessage } from './rpc-messages.ts';

/** Everything that gateways say to each other. */
export type Message = SwimMessage | ReplicationMessage | RpcMessage;

// Kinds are numbered in three families: 1 to 31 membership, 32 to 63 replication, 64 to 95 questions.
const firstOfReplication = 32;
const firstOfRpc = 64;

/** @throws MalformedError when the bytes are no message that this version knows */
export function decodeMessage(raw: Uint8Array): Message {
  return fromBytes(anyMessage, raw, 'message');
}

export function encodeMessage(message: Message): Uint8Array {
  return toBytes(anyMessage, message);
}

export function isSwimMessage(message: Message): message is SwimMessage {
  return swimMessage.kinds.has(message.kind);
}

export function isReplicationMessage(message: Message): message is ReplicationMessage {
  return replicationMessage.kinds.has(message.kind);
}

const anyMessage: Schema<Message> = {
  pack: (message) => {
    if (isReplicationMessage(message)) return replicationMessage.pack(message);
    return isSwimMessage(message) ? swimMessage.pack(message) : rpcMessage.pack(message);
  },
  unpack: (raw, at) => {
    const number: unknown = Array.isArray(raw) ? raw[0] : undefined;
    if (typeof number !== 'number') throw new MalformedError(`${at}: not a message`);
    if (number < firstOfReplication) return swimMessage.unpack(raw, at);
    return number < firstOfRpc ? replicationMessage.unpack(raw, at) : rpcMessage.unpack(raw, at);
  },
};
