import { Router } from '../../compat/http/router.ts';
import { routeTable } from '../../compat/routes/table.ts';
import type { Answer, Method, Reply } from '../../compat/wire/http.ts';
import { apiRequest, type StateFixture } from './state.ts';

/** What came of a request, as the HTTP layer would send it. */
export interface Asked {
  readonly status: number;
  readonly body: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Of reads only. */
  readonly index: number | bigint | undefined;
}

const router = new Router(routeTable);

/** Serves a request by the whole route table: reads are evaluated, writes committed, promises awaited. */
export async function ask(
  fixture: StateFixture,
  method: Method,
  url: string,
  body?: unknown,
): Promise<Asked> {
  const request = apiRequest(method, url, body);
  const match = router.match(request.path);
  const handler = match?.route.methods[method];
  if (match === undefined || handler === undefined) throw new Error(`no route for ${method} ${url}`);
  const result = handler({ ...request, rest: match.rest }, fixture.context);
  switch (result.kind) {
    case 'reply':
      return asked(result);
    case 'later':
      return asked(await result.reply);
    case 'read':
      return asked(fixture.live.answer(result).answer);
    case 'write':
      return asked(result.reply(fixture.step(result.command).outcome));
    default:
      throw new Error(`a ${result.kind} is not one answer`);
  }
}

function asked(answer: Reply | Answer): Asked {
  return {
    status: answer.status,
    body: typeof answer.body === 'string' ? answer.body : new TextDecoder().decode(answer.body),
    headers: answer.headers ?? {},
    index: 'index' in answer ? answer.index : undefined,
  };
}
