import type { Command } from 'commander';
import { ok, type Result } from '../../src/kernel/result.ts';
import { askJson, askShownJson, jsonFlag, withGateway, type JsonFlag } from './fleet-client.ts';
import { boolFlag } from './flags.ts';
import { addClientFlags, type ClientFlags, type GatewayClient } from './http-client.ts';

interface ListFlags extends ClientFlags, JsonFlag {
  readonly localOnly?: boolean;
}

/** One pool of `/v1/operator/keyring`. */
export interface KeyringRow {
  readonly WAN: boolean;
  readonly Datacenter: string;
  readonly Keys: Readonly<Record<string, number>> | null;
  readonly PrimaryKeys?: Readonly<Record<string, number>> | null;
  readonly NumNodes: number;
}

/** `grapevine keyring list|install|use|remove`: the keys that gossip is encrypted with. */
export function registerKeyring(program: Command): void {
  const keyring = program
    .command('keyring')
    .summary('Show and change the keys that encrypt gossip')
    .description(
      'Every gateway keeps a ring of keys: it encrypts with the primary one and reads what any of them encrypted. So a\n' +
        'key is changed while everything runs, in four steps; each asks all live gateways, and says who did not follow.\n' +
        'One that was away keeps its old ring: bring it back before you remove the key that it knows.',
    )
    .usage('<command> [flags]')
    .addHelpText(
      'after',
      `
To change the key:
  $ NEW=$(grapevine keygen)
  $ grapevine keyring install "$NEW"    # everybody can read it
  $ grapevine keyring use "$NEW"        # everybody writes with it
  $ grapevine keyring list              # the old one is nobody's primary any more
  $ grapevine keyring remove "$OLD"

A gateway whose gossip is not encrypted has no keyring: start all of them with -encrypt first.`,
    );
  addClientFlags(
    keyring
      .command('list')
      .summary('List the keys, and how many gateways have each')
      .description('Asks every live gateway for its keys. `primary` is what gossip is encrypted with.')
      .addOption(boolFlag('local-only', 'Ask within the LAN pool only.'))
      .addOption(jsonFlag()),
  ).action(async (flags: ListFlags) => {
    const path = `/v1/operator/keyring${flags.localOnly === true ? '?local-only=true' : ''}`;
    process.exitCode = await withGateway(flags, 'Error listing keys', async (client) => {
      if (flags.json === true) return askShownJson(client, path);
      const rows = await askJson<readonly KeyringRow[]>(client, 'GET', path);
      return rows.ok ? ok(renderKeyring(rows.value)) : rows;
    });
  });
  for (const [name, method, summary, done] of orders) {
    addClientFlags(
      keyring.command(name).summary(summary).description(`${summary}.`).argument('<key>', 'in base64'),
    ).action(async (key: string, flags: ClientFlags) => {
      process.exitCode = await withGateway(flags, `Error with the key`, (client) =>
        order(client, method, key, done),
      );
    });
  }
}

const orders = [
  ['install', 'POST', 'Put a key into the ring of every gateway', 'The key is on every gateway.'],
  ['use', 'PUT', 'Encrypt with a key that every gateway has', 'Every gateway encrypts with the key.'],
  [
    'remove',
    'DELETE',
    'Take a key that is not the primary one out of every ring',
    'The key is on no gateway.',
  ],
] as const;

async function order(
  client: GatewayClient,
  method: string,
  key: string,
  done: string,
): Promise<Result<string, string>> {
  const answer = await client.expectOk(method, '/v1/operator/keyring', JSON.stringify({ Key: key }));
  return answer.ok ? ok(done) : answer;
}

/** Pools with their keys, as `consul keyring -list` shows them; which key is the primary one is said beside it. */
export function renderKeyring(rows: readonly KeyringRow[]): string {
  return rows
    .map(({ WAN, Datacenter, Keys, PrimaryKeys, NumNodes }) => {
      const lines = Object.entries(Keys ?? {}).map(([key, held]) => {
        const primary = PrimaryKeys?.[key] ?? 0;
        const use = primary === 0 ? '' : primary === NumNodes ? ' primary' : ` primary on ${primary}`;
        return `  ${key} [${held}/${NumNodes}]${use}`;
      });
      return [`${WAN ? 'WAN' : `${Datacenter} (LAN)`}:`, ...lines].join('\n');
    })
    .join('\n\n');
}
