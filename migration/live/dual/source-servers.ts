import { isJsonObject, parseJson } from '../../../compat/wire/go-json.ts';
import { isOtherCluster, otherClusterText } from '../../source/servers.ts';
import type { SourceAsker } from '../proxy/source-client.ts';

/** Tells whether it is still the same cluster that answers: its servers come and go one by one, and never all at once. */
export class SourceServers {
  readonly #source: SourceAsker;
  readonly #token: () => string;
  readonly #agreed: () => string;
  #known: readonly string[] = [];
  /** As which source they were seen. */
  #knownAs = '';

  /** `agreed`: what the fleet takes the source for; with another text everything begins anew. */
  constructor(source: SourceAsker, token: () => string, agreed: () => string) {
    this.#source = source;
    this.#token = token;
    this.#agreed = agreed;
  }

  /** Why it is another cluster; undefined: it is the same, nothing is known yet, or nobody can tell. */
  async another(): Promise<string | undefined> {
    const agreed = this.#agreed();
    const servers = await this.#ask();
    if (servers.length === 0) return undefined;
    const known = this.#knownAs === agreed ? this.#known : [];
    if (isOtherCluster(known, servers)) return otherClusterText(known, servers);
    this.#known = servers;
    this.#knownAs = agreed;
    return undefined;
  }

  /** None where the token may not see them. */
  async #ask(): Promise<readonly string[]> {
    const answer = await this.#source.ask({
      ...{ method: 'GET', path: '/v1/catalog/service/consul', token: this.#token() },
    });
    if (answer.kind !== 'answer' || answer.status !== 200) return [];
    const parsed = parseJson(answer.body.toString());
    if (!parsed.ok || !Array.isArray(parsed.value)) return [];
    return (parsed.value as readonly unknown[])
      .flatMap((row) => (isRow(row) ? [row.ID === '' || row.ID === undefined ? row.Node : row.ID] : []))
      .toSorted();
  }
}

function isRow(value: unknown): value is { readonly ID?: string; readonly Node: string } {
  const row = value as Parameters<typeof isJsonObject>[0];
  return (
    isJsonObject(row) && typeof row['Node'] === 'string' && ['string', 'undefined'].includes(typeof row['ID'])
  );
}
