import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';

interface Entry {
  value: string;
  flags: number;
  create: number;
  modify: number;
}

export interface Seen {
  readonly method: string;
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
}

interface TxnOp {
  readonly KV: {
    readonly Verb: string;
    readonly Key: string;
    readonly Value?: string;
    readonly Index?: number;
  };
}

/** What a test makes of a request; undefined: it is answered as usual. */
export type Bend = (
  seen: Seen,
  res: ServerResponse,
  socket: Socket,
) => 'handled' | 'lost' | { readonly status: number; readonly body: string } | undefined;

/** As much of Consul's KV as dual writes use, in memory, with answers that a test can bend. */
export class FakeSource {
  readonly entries = new Map<string, Entry>();
  readonly seen: Seen[] = [];
  index = 10;
  /** `lost`: it is done, and its answer never comes. */
  bend: Bend = () => undefined;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  readonly #waiting = new Set<() => void>();

  constructor() {
    this.#server = createServer((req, res) => {
      const chunks: Buffer[] = [];
      req.on('data', (chunk: Buffer) => chunks.push(chunk));
      req.on('end', () => this.#answer(req, res, Buffer.concat(chunks).toString()));
    });
    this.#server.on('connection', (socket) => {
      this.#sockets.add(socket);
      socket.on('close', () => this.#sockets.delete(socket));
    });
  }

  async open(port = 0): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve));
    return this;
  }

  get address(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  get connections(): number {
    return this.#sockets.size;
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  set(key: string, value: string): number {
    this.index += 1;
    const create = this.entries.get(key)?.create ?? this.index;
    this.entries.set(key, { value, flags: 0, create, modify: this.index });
    for (const wake of [...this.#waiting]) wake();
    return this.index;
  }

  delete(key: string): void {
    this.index += 1;
    this.entries.delete(key);
    for (const wake of [...this.#waiting]) wake();
  }

  #answer(req: IncomingMessage, res: ServerResponse, body: string): void {
    const seen: Seen = { method: req.method ?? '', url: req.url ?? '', headers: req.headers, body };
    this.seen.push(seen);
    const bent = this.bend(seen, res, req.socket);
    if (bent === 'handled') return;
    if (typeof bent === 'object') {
      res.writeHead(bent.status, { 'Content-Type': 'text/plain; charset=utf-8' }).end(bent.body);
      return;
    }
    const url = new URL(seen.url, this.address);
    if (url.pathname === '/v1/txn') return this.#txn(req, res, body, bent === 'lost');
    const key = decodeURIComponent(url.pathname.slice('/v1/kv/'.length));
    const at = Number(url.searchParams.get('index') ?? 0);
    if (req.method === 'GET' && at > 0 && at >= this.#indexOf(url, key)) {
      const end = (): void => {
        clearTimeout(timer);
        this.#waiting.delete(wake);
      };
      const answer = (): void => {
        end();
        this.#read(url, key, res);
      };
      const wake = (): void => {
        if (this.#indexOf(url, key) > at) answer();
      };
      const timer = setTimeout(answer, waitMsOf(url));
      this.#waiting.add(wake);
      res.on('close', end);
      return;
    }
    if (req.method === 'GET') return this.#read(url, key, res);
    if (req.method === 'PUT') this.set(key, body);
    else this.delete(key);
    if (bent === 'lost') return void req.socket.destroy();
    json(res, 200, true, this.index);
  }

  /** Queries that wait here. */
  get waiting(): number {
    return this.#waiting.size;
  }

  #indexOf(url: URL, key: string): number {
    const isList = url.searchParams.has('recurse') || url.searchParams.has('keys');
    return (isList ? undefined : this.entries.get(key)?.modify) ?? this.index;
  }

  #read(url: URL, key: string, res: ServerResponse): void {
    const listed = [...this.entries].filter(([name]) => name.startsWith(key)).toSorted(byName);
    if (url.searchParams.has('keys'))
      return json(
        res,
        200,
        listed.map(([name]) => name),
        this.index,
      );
    const found = url.searchParams.has('recurse') ? listed : listed.filter(([name]) => name === key);
    if (found.length === 0) {
      res.writeHead(404, { 'X-Consul-Index': String(this.index), 'X-Consul-Knownleader': 'true' }).end();
      return;
    }
    const index = url.searchParams.has('recurse') ? this.index : (found[0]?.[1].modify ?? 0);
    json(
      res,
      200,
      found.map(([name, entry]) => shown(name, entry, true)),
      index,
    );
  }

  #txn(req: IncomingMessage, res: ServerResponse, body: string, lost: boolean): void {
    const ops = JSON.parse(body) as readonly TxnOp[];
    const errors = ops.flatMap(({ KV: op }, at) => {
      const held = this.entries.get(op.Key)?.modify;
      const quoted = JSON.stringify(op.Key);
      if (op.Verb === 'check-index' && held === undefined) {
        return [{ OpIndex: at, What: `failed to check index, key ${quoted} doesn't exist` }];
      }
      if (op.Verb === 'check-index' && held !== op.Index) {
        return [
          {
            OpIndex: at,
            What: `failed index check for key ${quoted}, current modify index ${held} != ${op.Index}`,
          },
        ];
      }
      if (op.Verb === 'cas' && (held ?? 0) !== op.Index) {
        return [{ OpIndex: at, What: `failed to set key ${quoted}, index is stale` }];
      }
      return [];
    });
    if (errors.length > 0) return json(res, 409, { Results: null, Errors: errors });
    this.index += 1;
    const results = ops.flatMap(({ KV: op }) => {
      if (op.Verb === 'delete') this.entries.delete(op.Key);
      if (op.Verb === 'delete-tree') {
        for (const key of [...this.entries.keys()]) if (key.startsWith(op.Key)) this.entries.delete(key);
      }
      if (op.Verb === 'set' || op.Verb === 'cas') {
        const create = this.entries.get(op.Key)?.create ?? this.index;
        const value = Buffer.from(op.Value ?? '', 'base64').toString();
        this.entries.set(op.Key, { value, flags: 0, create, modify: this.index });
      }
      const entry = this.entries.get(op.Key);
      return op.Verb.startsWith('delete') || entry === undefined ? [] : [{ KV: shown(op.Key, entry, false) }];
    });
    for (const wake of [...this.#waiting]) wake();
    if (lost) return void req.socket.destroy();
    json(res, 200, { Results: results, Errors: null });
  }
}

function waitMsOf(url: URL): number {
  const parts = /^(\d+)(ms|s)$/.exec(url.searchParams.get('wait') ?? '');
  return parts === null ? 300_000 : Number(parts[1]) * (parts[2] === 's' ? 1000 : 1);
}

function byName([a]: readonly [string, Entry], [b]: readonly [string, Entry]): number {
  return a < b ? -1 : 1;
}

function shown(key: string, entry: Entry, withValue: boolean): object {
  return {
    LockIndex: 0,
    Key: key,
    Flags: entry.flags,
    Value: withValue ? Buffer.from(entry.value).toString('base64') : null,
    CreateIndex: entry.create,
    ModifyIndex: entry.modify,
  };
}

function json(res: ServerResponse, status: number, body: unknown, index?: number): void {
  const consul =
    index === undefined ? {} : { 'X-Consul-Index': String(index), 'X-Consul-Knownleader': 'true' };
  res.writeHead(status, { 'Content-Type': 'application/json', ...consul }).end(JSON.stringify(body));
}
