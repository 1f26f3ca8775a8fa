import { createSocket } from 'node:dgram';
import { connect } from 'node:net';
import { decode, encode, type Answer, type DecodedPacket, type RecordType } from 'dns-packet';

export interface Asked {
  readonly name: string;
  readonly type: string;
  readonly tcp?: boolean;
  /** UDP payload size of an EDNS0 record; without it there is none. */
  readonly ednsBytes?: number | undefined;
  readonly port: number;
}

export interface Response {
  readonly packet: DecodedPacket & { readonly rcode: string };
  readonly bytes: Buffer;
}

/** How long an answer may take before the test fails for it. */
const answerMsMax = 10_000;

export function questionPacket(asked: Pick<Asked, 'name' | 'type' | 'ednsBytes'>, id: number): Buffer {
  const additionals: Answer[] =
    asked.ednsBytes === undefined
      ? []
      : [
          {
            type: 'OPT',
            name: '.',
            udpPayloadSize: asked.ednsBytes,
            extendedRcode: 0,
            ednsVersion: 0,
            flags: 0,
            flag_do: false,
            options: [],
          },
        ];
  return encode({
    type: 'query',
    id,
    flags: 0x100,
    questions: [{ name: asked.name, type: asked.type as RecordType }],
    additionals,
  });
}

let nextId = 1;

/** Asks one question of a DNS server on 127.0.0.1. */
export async function ask(asked: Asked): Promise<Response> {
  nextId = (nextId % 0xffff) + 1;
  const bytes = await exchange(asked.port, questionPacket(asked, nextId), asked.tcp === true);
  return { packet: decode(bytes) as Response['packet'], bytes };
}

/** Sends one packet and gives the one that comes back. */
export function exchange(port: number, query: Buffer, tcp: boolean): Promise<Buffer> {
  return tcp ? exchangeTcp(port, query) : exchangeUdp(port, query);
}

function exchangeUdp(port: number, query: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = createSocket('udp4');
    const late = setTimeout(() => done(() => reject(new Error('no answer over UDP'))), answerMsMax);
    const done = (then: () => void): void => {
      clearTimeout(late);
      socket.close(then);
    };
    socket.once('message', (message) => done(() => resolve(message)));
    socket.once('error', (error) => done(() => reject(error)));
    socket.send(query, port, '127.0.0.1');
  });
}

function exchangeTcp(port: number, query: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1');
    let read = Buffer.alloc(0);
    socket.setTimeout(answerMsMax, () => socket.destroy(new Error('no answer over TCP')));
    socket.once('error', reject);
    socket.once('end', () => reject(new Error('closed without an answer')));
    socket.on('data', (chunk) => {
      read = Buffer.concat([read, chunk]);
      if (read.length < 2 || read.length < 2 + read.readUInt16BE(0)) return;
      socket.destroy();
      resolve(read.subarray(2));
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(query.length);
    socket.write(Buffer.concat([length, query]));
  });
}
