import type {
  NoAnswer,
  SourceAnswer,
  SourceQuestion,
} from '../../../../migration/live/proxy/source-client.ts';
import type { SideAnswer } from '../../../../migration/live/shadow/facts.ts';
import type { SourceAsk } from '../../../../migration/live/shadow/source-reader.ts';
import type { KvEntry } from '../../../../migration/source/consul-reader.ts';
import { compareUtf8 } from '../../../../src/kernel/utf8-order.ts';

/** Keys of a source Consul, with its rules of indexes, that answers reads of keys. */
export class SourceDouble implements SourceAsk {
  index = 100;
  readonly keys = new Map<string, KvEntry>();
  /** Paths that were asked, in order. */
  readonly asked: string[] = [];
  /** Called before each question is answered. */
  before: (path: string) => void | Promise<void> = () => undefined;
  /** Changes answers on their way out. */
  tamper: (path: string, answer: SourceReply) => SourceReply | NoAnswer = (_, answer) => answer;

  put(
    key: string,
    value: string,
    more: Partial<Pick<KvEntry, 'session' | 'lockIndex'>> & { flags?: bigint } = {},
  ): KvEntry {
    this.index += 1;
    const held = this.keys.get(key);
    const entry: KvEntry = {
      key,
      value: new TextEncoder().encode(value),
      flags: more.flags ?? 0n,
      session: more.session ?? '',
      lockIndex: more.lockIndex ?? 0,
      createIndex: held?.createIndex ?? this.index,
      modifyIndex: this.index,
    };
    this.keys.set(key, entry);
    return entry;
  }

  /** Answers the index of the deletion. */
  delete(key: string): number {
    this.index += 1;
    this.keys.delete(key);
    return this.index;
  }

  async ask({ path }: SourceQuestion): Promise<SourceAnswer | NoAnswer> {
    this.asked.push(path);
    await this.before(path);
    const answer = this.answer(path);
    if ('kind' in answer) return answer;
    const headers: Readonly<Record<string, string>> = {
      'content-type': answer.contentType,
      'x-consul-index': answer.index === 0 ? '' : String(answer.index),
      ...answer.headers,
    };
    return {
      kind: 'answer',
      status: answer.status,
      header: (name) => headers[name.toLowerCase()] || undefined,
      body: Buffer.from(answer.body),
    };
  }

  answer(path: string): SourceReply | NoAnswer {
    return this.tamper(path, this.#answer(path));
  }

  #answer(path: string): SourceReply {
    const [encoded = '', query = ''] = path.split('?', 2);
    const key = decodeURIComponent(encoded.slice('/v1/kv/'.length));
    const parameters = new URLSearchParams(query);
    const contentType = 'application/json';
    const none = { status: 404, index: this.index, body: '', contentType: '' };
    if (parameters.has('recurse') || parameters.has('keys')) {
      const names = [...this.keys.keys()].filter((name) => name.startsWith(key)).toSorted(compareUtf8);
      if (names.length === 0) return none;
      const list = parameters.has('keys') ? names : names.map((name) => shownOf(this.keys.get(name)));
      return { status: 200, index: this.index, body: JSON.stringify(list), contentType };
    }
    const held = this.keys.get(key);
    if (held === undefined) return none;
    if (parameters.has('raw')) {
      const body = Buffer.from(held.value).toString();
      return { status: 200, index: held.modifyIndex, body, contentType: 'text/plain' };
    }
    return { status: 200, index: held.modifyIndex, body: `[${JSON.stringify(shownOf(held))}]`, contentType };
  }
}

export interface SourceReply extends SideAnswer {
  readonly body: string;
  readonly contentType: string;
  readonly headers?: Readonly<Record<string, string>>;
}

function shownOf(entry: KvEntry | undefined): object {
  if (entry === undefined) return {};
  return {
    LockIndex: entry.lockIndex,
    Key: entry.key,
    Flags: Number(entry.flags),
    Value: entry.value.length === 0 ? null : Buffer.from(entry.value).toString('base64'),
    ...(entry.session === '' ? {} : { Session: entry.session }),
    CreateIndex: entry.createIndex,
    ModifyIndex: entry.modifyIndex,
  };
}
