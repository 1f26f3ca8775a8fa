import { err, ok, type Result } from '../../src/kernel/result.ts';
import { boolFlag } from './flags.ts';
import { openClient, parseAnswer, type ClientFlags, type GatewayClient } from './http-client.ts';

export interface JsonFlag {
  readonly json?: boolean;
}

export const jsonFlag = () => boolFlag('json', 'Print what the gateway answered, as JSON.');

/** Asks a gateway for JSON. The error is one line. */
export async function askJson<T>(
  client: GatewayClient,
  method: string,
  path: string,
  body?: object,
): Promise<Result<T, string>> {
  const text = body === undefined ? undefined : JSON.stringify(body);
  const answer = await client.request(method, path, text);
  if (!answer.ok) return answer;
  const { status, body: bytes } = answer.value;
  if (status === 200) return parseAnswer<T>(bytes);
  return err(refusal(status, bytes));
}

/** What a gateway answered, indented, for those who asked for JSON: as text, so that no number is rounded. */
export async function askShownJson(client: GatewayClient, path: string): Promise<Result<string, string>> {
  const answer = await client.request('GET', `${path}${path.includes('?') ? '&' : '?'}pretty`);
  if (!answer.ok) return answer;
  const { status, body } = answer.value;
  return status === 200 ? ok(body.toString().trimEnd()) : err(refusal(status, body));
}

function refusal(status: number, body: Buffer): string {
  const said = body.toString().trim();
  if (status === 404 && (said === '' || /not a recognized HTTP API endpoint/.test(said))) {
    return 'what answers there is no Grapevine gateway, or an older one: it does not know this request';
  }
  return said === '' ? `Unexpected response code: ${status}` : said;
}

/** Opens a client, works with it and prints what came of it: the exit code of a command. */
export async function withGateway(
  flags: ClientFlags,
  failed: string,
  work: (client: GatewayClient) => Promise<Result<string, string>>,
): Promise<number> {
  const client = openClient(flags);
  if (!client.ok) {
    console.error(client.error);
    return 1;
  }
  const outcome = await work(client.value);
  if (!outcome.ok) {
    console.error(`${failed}: ${outcome.error}`);
    return 1;
  }
  if (outcome.value !== '') console.log(outcome.value);
  return 0;
}
