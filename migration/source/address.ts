import { err, ok, type Result } from '../../src/kernel/result.ts';

/** Options of node:tls, as far as they can be set for a source. */
export type TlsSettings = {
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  readonly servername?: string;
  readonly rejectUnauthorized?: boolean;
};

export type HttpAddress = {
  readonly baseUrl: string;
  readonly socketPath?: string;
  /** For messages and reports: without credentials. */
  readonly shown: string;
};

/** Reads an address as Consul's clients write it: `host:port`, `http(s)://host:port[/base]`, `unix:///path`. */
export function parseAddress(text: string): Result<HttpAddress, string> {
  if (text.startsWith('unix://')) {
    const socketPath = text.slice('unix://'.length);
    if (socketPath === '') return err(`address "${text}" names no socket`);
    return ok({ baseUrl: 'http://localhost', socketPath, shown: text });
  }
  const withScheme = /^[a-z][a-z0-9+.-]*:\/\//i.test(text) ? text : `http://${text}`;
  let url: URL;
  try {
    url = new URL(withScheme);
  } catch {
    return err(`address "${text}" is not host:port, http://…, https://… or unix://…`);
  }
  if (url.protocol !== 'http:' && url.protocol !== 'https:') {
    return err(`address "${text}": scheme ${url.protocol.slice(0, -1)} is not http, https or unix`);
  }
  if (url.username !== '' || url.password !== '') return err('an address holds no credentials: use a token');
  const base = `${url.protocol}//${url.host}${url.pathname.replace(/\/+$/, '')}`;
  return ok({ baseUrl: base, shown: base });
}
