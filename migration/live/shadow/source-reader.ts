import { ConnectionError, type Connection } from '../../source/connection.ts';
import type { SourceAnswer, SourceClient, SourceQuestion } from '../proxy/source-client.ts';
import type { SideAnswer } from './facts.ts';

/** What shadow reads need of the source. */
export type SourceAsk = Pick<SourceClient, 'ask'>;

/** Undefined: the source did not answer, or not in its own words. */
export async function readSource(
  source: SourceAsk,
  question: Pick<SourceQuestion, 'path' | 'token' | 'signal'>,
): Promise<SideAnswer | undefined> {
  const answer = await source.ask({ method: 'GET', ...question });
  if (answer.kind !== 'answer' || answer.status >= 500) return undefined;
  const contentType = answer.header('content-type');
  const filtered = answer.header('x-consul-results-filtered-by-acls') === 'true';
  return { status: answer.status, index: indexOf(answer), body: answer.body, contentType, filtered };
}

function indexOf(answer: SourceAnswer): number {
  const index = Number(answer.header('x-consul-index') ?? 0);
  return Number.isSafeInteger(index) ? index : 0;
}

/** The source as a connection, for what reads Consul's API as a whole. */
export function sourceWire(
  source: SourceAsk,
  address: string,
  token: string,
  before: () => Promise<void>,
  signal: AbortSignal,
): Pick<Connection, 'address' | 'request'> {
  return {
    address,
    request: async (request) => {
      await before();
      const { method, path, body, bytesMax } = request;
      const asked = { method, path, token, signal, ...(body === undefined ? {} : { body }) };
      const answer = await source.ask(asked);
      if (signal.aborted) throw new ConnectionError('aborted', 'interrupted');
      if (answer.kind !== 'answer') {
        throw new ConnectionError('unreachable', `${address}: ${path.split('?')[0] ?? ''}: ${answer.why}`);
      }
      return answer.body.length > bytesMax ? { kind: 'too-large' } : answer;
    },
  };
}
