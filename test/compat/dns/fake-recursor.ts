import { createSocket } from 'node:dgram';
import { createServer } from 'node:net';
import { decode, encode, type Answer } from 'dns-packet';
import { MessageReader, withLength } from '../../../compat/dns/framing.ts';

export interface FakeRecursor {
  readonly port: number;
  /** Names that were asked, in order. */
  readonly asked: readonly string[];
  close(): Promise<void>;
}

export type Answering = (name: string, type: string) => { rcode?: number; answers?: Answer[] } | undefined;

/** Knows a few names; says SERVFAIL to `ref`, NXDOMAIN to `nx`, and nothing where `answering` gives nothing. */
export const defaultAnswering: Answering = (name, type) => {
  switch (name.toLowerCase()) {
    case 'www.example.org':
      return {
        answers: [
          { type: 'CNAME', name, ttl: 60, data: 'edge.example.net' },
          ...(type === 'A' ? [a('edge.example.net', '192.0.2.1'), a('edge.example.net', '192.0.2.2')] : []),
        ],
      };
    case 'foo.example.com':
      return { answers: [a(name, '192.0.2.9')] };
    case 'long.example':
      return { answers: Array.from({ length: 9 }, (_, i) => a(name, `192.0.2.${i}`)) };
    case 'ref.example':
      return { rcode: 2 };
    default:
      return { rcode: 3 };
  }
};

function a(name: string, data: string): Answer {
  return { type: 'A', name, ttl: 60, data };
}

/** A DNS server on 127.0.0.1, UDP and TCP, that says what it is told to. */
export async function startFakeRecursor(answering: Answering = defaultAnswering): Promise<FakeRecursor> {
  const asked: string[] = [];
  const reply = (packet: Buffer): Buffer | undefined => {
    const query = decode(packet);
    const question = query.questions?.[0];
    if (question === undefined) return undefined;
    asked.push(question.name);
    const said = answering(question.name, question.type);
    if (said === undefined) return undefined;
    return encode({
      type: 'response',
      id: query.id ?? 0,
      flags: 0x180 | (said.rcode ?? 0),
      questions: [question],
      answers: said.answers ?? [],
    });
  };
  const tcp = createServer((socket) => {
    const reader = new MessageReader(65_535);
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      reader.push(chunk);
      const packet = reader.next();
      const answer = packet === undefined ? undefined : reply(packet);
      if (answer !== undefined) socket.end(withLength(answer));
    });
  });
  await new Promise<void>((resolve) => tcp.listen(0, '127.0.0.1', resolve));
  const { port } = tcp.address() as { port: number };
  const udp = createSocket('udp4');
  udp.on('message', (packet, from) => {
    const answer = reply(packet);
    if (answer !== undefined) udp.send(answer, from.port, from.address);
  });
  await new Promise<void>((resolve) => udp.bind(port, '127.0.0.1', () => resolve()));
  return {
    port,
    asked,
    close: async () => {
      await new Promise<void>((resolve) => tcp.close(() => resolve()));
      await new Promise<void>((resolve) => udp.close(() => resolve()));
    },
  };
}
