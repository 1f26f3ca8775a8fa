import type { ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Download, Reply } from '../wire/http.ts';
import { pushHeaders, type FlatHeaders } from './reply-writer.ts';

/**
 * Sends a long answer as fast as its reader takes it. Resolves with the reply to send instead, where it could not be
 * opened; rejects where opening it failed by a defect. What fails on the way closes the connection.
 */
export async function sendDownload(
  res: ServerResponse,
  result: Download,
  baseHeaders: FlatHeaders,
): Promise<Reply | undefined> {
  const opened = await result.open;
  if ('kind' in opened) return opened;
  const headers = baseHeaders.slice();
  pushHeaders(headers, result.headers);
  headers.push('Content-Type', result.contentType);
  res.writeHead(200, headers);
  try {
    await pipeline(Readable.from(opened, { objectMode: false }), res);
  } catch {
    // Also when the reader went away, which is nobody's fault.
    res.destroy();
  }
  return undefined;
}
