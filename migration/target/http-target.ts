import { GoFields, isJsonObject, parseJson, renderJson, type JsonValue } from '../../compat/wire/go-json.ts';
import { Connection, ConnectionError } from '../source/connection.ts';
import {
  type ApplyOutcome,
  type HeldEntry,
  type HeldPage,
  type HeldQuery,
  type MirrorBatch,
  type MirrorRecord,
  type MirrorState,
  type MirrorTarget,
} from './target.ts';

const answerBytesMax = 64 * 1024 * 1024;

/** A gateway as the target of a mirror, by its `/v1/grapevine/mirror/*` endpoints. */
export class HttpTarget implements MirrorTarget {
  readonly address: string;
  readonly #connection: Connection;

  constructor(connection: Connection) {
    this.#connection = connection;
    this.address = connection.address;
  }

  readonly state = async (source: string): Promise<MirrorState> => {
    const path = `/v1/grapevine/mirror/state?source=${encodeURIComponent(source)}`;
    const fields = await this.#ask('GET', path);
    const state = {
      source,
      timeline: fields.int('Timeline'),
      cursors: fields.stringMap('Cursors'),
      gatewayNode: fields.string('GatewayNode'),
      // Left out by gateways before 0.2.
      gatewayNodes: [...new Set([fields.string('GatewayNode'), ...fields.strings('GatewayNodes')])],
      datacenter: fields.string('Datacenter'),
      otherSources: fields.strings('OtherSources'),
    };
    this.#check(fields, path);
    return state;
  };

  readonly held = async (query: HeldQuery): Promise<HeldPage> => {
    const parameters = new URLSearchParams({
      source: query.source,
      kind: query.kind,
      prefix: query.prefix,
      after: query.after,
      limit: String(query.limit),
    });
    const path = `/v1/grapevine/mirror/held?${parameters.toString()}`;
    const fields = await this.#ask('GET', path);
    const entries = fields.array('Entries').map((entry) => this.#heldEntry(entry, path));
    const page = { entries, more: fields.bool('More') };
    this.#check(fields, path);
    return page;
  };

  readonly apply = async (batch: MirrorBatch): Promise<ApplyOutcome> => {
    const path = '/v1/grapevine/mirror/apply';
    const body = renderJson({
      Source: batch.source,
      Timeline: batch.timeline,
      Records: batch.records.map(wireRecord),
      Cursors: batch.cursors,
    });
    const fields = await this.#ask('POST', path, body);
    const outcome = {
      applied: fields.int('Applied'),
      unchanged: fields.int('Unchanged'),
      older: fields.int('Older'),
      refused: objects(fields.array('Refused')).map((item) => ({
        kind: item.string('Kind'),
        key: item.string('Key'),
        why: item.string('Why'),
      })),
      conflicts: objects(fields.array('Conflicts')).map((item) => ({
        kind: item.string('Kind'),
        key: item.string('Key'),
        heldTerm: item.int('HeldTerm'),
      })),
    };
    this.#check(fields, path);
    return outcome;
  };

  #heldEntry(entry: JsonValue, path: string): HeldEntry {
    const fields = new GoFields(entry, 'HeldEntry');
    const held = {
      key: fields.string('Key'),
      term: fields.int('Term'),
      timeline: fields.int('Timeline'),
      stamp: fields.int('Stamp'),
      deleted: fields.bool('Deleted'),
      digest: fields.string('Digest'),
    };
    this.#check(fields, path);
    return held;
  }

  async #ask(method: 'GET' | 'POST', path: string, body?: string): Promise<GoFields> {
    const request = { method, path, bytesMax: answerBytesMax, ...(body === undefined ? {} : { body }) };
    const answer = await this.#connection.request(request);
    if (answer.kind === 'too-large') throw this.#trouble('bad-answer', path, `above ${answerBytesMax} bytes`);
    const text = answer.body.toString('utf8');
    if (answer.status === 404) {
      throw this.#trouble(
        'refused',
        path,
        '404: this is no Grapevine gateway, or one without the mirror API',
      );
    }
    if (answer.status !== 200) {
      const kind = answer.status === 401 || answer.status === 403 ? 'denied' : 'refused';
      throw this.#trouble(kind, path, `${answer.status} ${text.split('\n')[0]?.slice(0, 200) ?? ''}`.trim());
    }
    const json = parseJson(text);
    if (!json.ok) throw this.#trouble('bad-answer', path, json.error);
    return new GoFields(json.value, 'mirror answer');
  }

  #check(fields: GoFields, path: string): void {
    if (fields.problem !== undefined) throw this.#trouble('bad-answer', path, fields.problem);
  }

  #trouble(kind: 'denied' | 'refused' | 'bad-answer', path: string, why: string): ConnectionError {
    return new ConnectionError(kind, `${this.address}: ${path.split('?')[0] ?? path}: ${why}`);
  }
}

function objects(values: readonly JsonValue[]): readonly GoFields[] {
  return values.filter(isJsonObject).map((value) => new GoFields(value, 'mirror answer'));
}

function wireRecord(record: MirrorRecord): Readonly<Record<string, unknown>> {
  const version = { Kind: record.kind, Key: record.key, Stamp: record.stamp };
  if ('deleted' in record) return { ...version, Deleted: true };
  if (record.kind !== 'kv') return { ...version, Created: record.created, Value: record.value };
  return {
    ...version,
    Created: record.created,
    Value: record.value.length === 0 ? null : Buffer.from(record.value).toString('base64'),
    Flags: record.flags,
  };
}
