import type { Answer } from 'dns-packet';
import type { Response } from './ask.ts';

/** A response in a form that compares: records as text and sorted, since their order is chance. */
export interface Shown {
  readonly status: string;
  readonly question: readonly string[];
  readonly answers: readonly string[];
  readonly authorities: readonly string[];
  readonly additionals: readonly string[];
  readonly bytes: number;
}

export function show({ packet, bytes }: Response): Shown {
  const { rcode, flag_aa: aa, flag_tc: tc, flag_rd: rd, flag_ra: ra } = packet;
  const flags = Object.entries({ aa, tc, rd, ra }).filter(([, set]) => set);
  const section = (records: readonly Answer[] | undefined): string[] =>
    (records ?? []).map(showRecord).toSorted();
  return {
    status: [rcode, ...flags.map(([name]) => name)].join(' '),
    question: (packet.questions ?? []).map(({ name, type }) => `${name} ${type}`),
    answers: section(packet.answers),
    authorities: section(packet.authorities),
    additionals: section(packet.additionals),
    bytes: bytes.length,
  };
}

function showRecord(record: Answer): string {
  switch (record.type) {
    case 'OPT':
      return `OPT ${record.udpPayloadSize} ${JSON.stringify(record.options)}`;
    case 'TXT':
      return `${record.name} ${record.ttl} TXT ${JSON.stringify(textOf(record.data))}`;
    case 'SOA':
      return `${record.name} ${record.ttl} SOA ${JSON.stringify({ ...record.data, serial: 'now' })}`;
    case 'SRV': {
      const { priority, weight, port, target } = record.data;
      return `${record.name} ${record.ttl} SRV ${priority} ${weight} ${port} ${target}`;
    }
    default:
      return `${record.name} ${'ttl' in record ? record.ttl : ''} ${record.type} ${'data' in record ? JSON.stringify(record.data) : ''}`;
  }
}

function textOf(data: unknown): readonly string[] {
  return (Array.isArray(data) ? data : [data]).map(String);
}

/** What of an answer stays the same when chance chooses which of many like records are in it. */
export function shapeOf(shown: Shown): Shown {
  const type = (record: string): string => record.split(' ')[2] ?? '';
  return {
    ...shown,
    answers: shown.answers.map(type),
    additionals: shown.additionals
      .map((record) => (record.startsWith('OPT') ? record : type(record)))
      .toSorted(),
  };
}
