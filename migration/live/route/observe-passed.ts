import { gunzip } from 'node:zlib';
import type { PassedReply } from '../../../compat/http/interceptor.ts';
import type { ApiRequest } from '../../../compat/wire/http.ts';
import type { PartContext } from '../ports.ts';

/** Longer answers are not compared. */
const plainBytesMax = 16 * 1024 * 1024;

/** Tells shadow reads what the source answered a client, once the client has it. */
export function observePassed(
  { gateway, evidence }: Pick<PartContext, 'gateway' | 'evidence'>,
  request: ApiRequest,
  startedMs: number,
  reply: Promise<PassedReply>,
): void {
  const look = ({ status, headers, body }: PassedReply): void => {
    if (!(body instanceof Uint8Array)) return;
    const endedMs = gateway.monoMs();
    const index = Number(headerOf(headers, 'x-consul-index') ?? 0);
    const contentType = headerOf(headers, 'content-type');
    const observe = (plain: Uint8Array): void =>
      evidence.observed({
        ...{
          request,
          answeredBy: 'source',
          status,
          index,
          body: plain,
          tookMs: endedMs - startedMs,
          endedMs,
        },
        ...(contentType === undefined ? {} : { contentType }),
      });
    const encoding = headerOf(headers, 'content-encoding');
    if (encoding === undefined) setImmediate(observe, body);
    // Most clients take it so: Go's unless told otherwise. The client has its answer already.
    else if (encoding === 'gzip')
      gunzip(body, { maxOutputLength: plainBytesMax }, (error, plain) => {
        if (error === null) observe(plain);
      });
  };
  // A client that went away, or was sent on, tells nothing.
  reply.then(look, () => undefined);
}

function headerOf(headers: readonly string[], name: string): string | undefined {
  const at = headers.findIndex((each, place) => place % 2 === 0 && each.toLowerCase() === name);
  return at < 0 ? undefined : headers[at + 1];
}
