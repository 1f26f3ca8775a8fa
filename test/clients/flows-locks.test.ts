import { expect, test } from '@jest/globals';
import { bodyOf, decodeBase64, httpClient, type KvEntry } from './support/http.ts';
import { describeServers } from './support/servers.ts';

// The requests that these programs make, in their order, after reading their sources; each test is one claim that the
// program depends on.

interface TxnAnswer {
  readonly Results: readonly { readonly KV: KvEntry }[] | null;
  readonly Errors: readonly { readonly OpIndex: number; readonly What: string }[] | null;
}

/** The flags by which Consul's own client knows a lock: above 2^53, so they are compared as text. */
const lockFlags = '3304740253564472344';

describeServers(
  'clients that lock',
  (server) => {
    const client = httpClient(server);

    test('Patroni: a watch of the leader key by its ModifyIndex waits, and answers that same index', async () => {
      const leader = '/v1/kv/service/pg/leader';
      const session = await createSession({
        ttl: '15.0s',
        lockdelay: '0.001s',
        behavior: 'delete',
        checks: [],
      });
      expect((await client.put(`${leader}?acquire=${session}`, 'node-a')).text).toBe('true');
      const tree = await client.get('/v1/kv/service/pg/?recurse=1');
      const entry = (bodyOf(tree) as KvEntry[])[0];
      expect(entry).toMatchObject({ Key: 'service/pg/leader', Session: session });
      // Others write beside it all the time: the history, members' states, the optime.
      await client.put('/v1/kv/service/pg/status', '{"optime":1}');
      await client.put('/v1/kv/service/pg/members/node-a', '{}');
      const watched = await client.get(`${leader}?index=${entry?.ModifyIndex}&wait=100ms`);
      expect(watched.index).toBe(entry?.ModifyIndex);
      expect((await client.put(`${leader}?acquire=${session}`, 'node-a')).text).toBe('true');
      expect((await client.get(leader)).index).toBe(entry?.ModifyIndex);
      // A wait that ended for a neighbour's sake would answer the old index, and Patroni would ask in a loop.
      const pending = client.get(`${leader}?index=${entry?.ModifyIndex}&wait=20s`);
      await client.put('/v1/kv/service/pg/status', '{"optime":2}');
      await client.put(`${leader}?acquire=${session}`, 'node-a, restarted');
      const woken = await pending;
      expect(woken.index).toBeGreaterThan(watched.index);
      expect((bodyOf(woken) as KvEntry[])[0]?.ModifyIndex).toBe(woken.index);
      await client.put(`/v1/session/destroy/${session}`);
    });

    test('Patroni: a leader that does not renew its session loses the key, and a replica takes it', async () => {
      const leader = '/v1/kv/service/ttl/leader';
      const [old, replica] = await Promise.all([
        createSession({ ttl: '1.0s', lockdelay: '0.001s', behavior: 'delete' }),
        createSession({ ttl: '15.0s', lockdelay: '0.001s', behavior: 'delete' }),
      ]);
      await client.put(`${leader}?acquire=${old}`, 'old');
      expect((await client.put(`${leader}?acquire=${replica}`, 'replica')).text).toBe('false');
      expect((await client.put(`/v1/session/renew/${old}`)).status).toBe(200);
      const { index } = await client.get(leader);
      // Woken by the end of the session: at once, not at the end of the wait.
      const gone = await client.get(`${leader}?index=${index}&wait=20s`);
      expect(gone.status).toBe(404);
      expect(gone.index).toBeGreaterThan(index);
      expect((await client.put(`/v1/session/renew/${old}`)).status).toBe(404);
      // It may come within the lock-delay of a millisecond, then it tries again.
      while ((await client.put(`${leader}?acquire=${replica}`, 'replica')).text !== 'true');
      const entry = (bodyOf(await client.get(leader)) as KvEntry[])[0];
      expect(entry).toMatchObject({ Session: replica, LockIndex: 1 });
      expect((await client.del(`${leader}?cas=${entry?.ModifyIndex}`)).text).toBe('true');
      await client.put(`/v1/session/destroy/${replica}`);
    }, 30_000);

    test('Patroni: the initialize key is taken once, the failover key is deleted by its version', async () => {
      expect((await client.put('/v1/kv/service/pg/initialize?cas=0', '7')).text).toBe('true');
      expect((await client.put('/v1/kv/service/pg/initialize?cas=0', '8')).text).toBe('false');
      const [entry] = bodyOf(await client.get('/v1/kv/service/pg/initialize?consistent=1')) as KvEntry[];
      expect((await client.del(`/v1/kv/service/pg/initialize?cas=${entry?.ModifyIndex}`)).text).toBe('true');
      expect((await client.get('/v1/kv/service/pg/initialize')).status).toBe(404);
    });

    test('Patroni: a service id with slashes works, written out and as %2F', async () => {
      for (const path of ['pg/node-a', 'pg%2Fnode-a']) {
        await client.put('/v1/agent/service/register', {
          ID: 'pg/node-a',
          Name: 'pg',
          Check: { TTL: '30s', Status: 'critical' },
          EnableTagOverride: true,
        });
        expect((await client.put(`/v1/agent/check/pass/service:${path}`)).status).toBe(200);
        expect((await client.put(`/v1/agent/service/deregister/${path}`)).status).toBe(200);
        expect((await client.get('/v1/agent/services')).text).toBe('{}');
      }
    });

    test('Vault: storage writes only while it holds its lock, and steps down when it does not', async () => {
      const lock = '/v1/kv/vault/core/lock';
      const session = await createSession({ Name: 'Vault Lock', TTL: '15s' });
      await client.put(`${lock}?acquire=${session}&flags=${lockFlags}`, 'uuid');
      expect((await client.get(`${lock}?consistent`)).text).toContain(`"Flags":${lockFlags},`);
      const write = (key: string, value: string): Promise<{ status: number; text: string }> =>
        client.put('/v1/txn', [
          { KV: { Verb: 'check-session', Key: 'vault/core/lock', Session: session } },
          { KV: { Verb: 'set', Key: key, Value: Buffer.from(value).toString('base64') } },
        ]);
      expect((await write('vault/logical/a', 'secret')).status).toBe(200);
      expect((await write('vault/logical/dir/b', 'secret')).status).toBe(200);
      // Names are cut from the keys by the exact prefix.
      expect(bodyOf(await client.get('/v1/kv/vault/logical/?keys&separator=/'))).toEqual([
        'vault/logical/a',
        'vault/logical/dir/',
      ]);

      const { index } = await client.get(`${lock}?consistent`);
      const monitor = client.get(`${lock}?consistent&index=${index}&wait=20s`);
      await client.put(`/v1/session/destroy/${session}`);
      expect((bodyOf(await monitor) as KvEntry[])[0]).not.toHaveProperty('Session');
      const refused = await write('vault/logical/a', 'too late');
      expect(refused.status).toBe(409);
      expect((JSON.parse(refused.text) as TxnAnswer).Errors).toMatchObject([
        { OpIndex: 0, What: expect.stringContaining('failed session check for key "vault/core/lock"') },
      ]);
      const [kept] = bodyOf(await client.get('/v1/kv/vault/logical/a')) as KvEntry[];
      expect(decodeBase64(kept?.Value ?? null)).toBe('secret');
    });

    if (server.kind === 'gateway') {
      // Not in 1.8.7: more than 64 operations, and this verb.
      test('Vault: its probe at start, 128 times get-or-empty of one missing key, succeeds', async () => {
        const probe = Array.from({ length: 128 }, () => ({
          KV: { Verb: 'get-or-empty', Key: 'vault/probe' },
        }));
        const { Results, Errors } = bodyOf(await client.put('/v1/txn', probe)) as TxnAnswer;
        expect(Errors).toBeNull();
        expect(Results).toHaveLength(128);
        expect(Results?.[127]?.KV).toMatchObject({ Key: 'vault/probe', Value: null, ModifyIndex: 0 });
      });
    }

    test('Vault: its registration in the agent, kept by check/pass with a note', async () => {
      expect(bodyOf(await client.get('/v1/agent/self'))).toMatchObject({ Member: { Addr: '127.0.0.1' } });
      await client.put('/v1/agent/service/register', {
        ID: 'vault:127.0.0.1:8200',
        Name: 'vault',
        Tags: ['active'],
        Port: 8200,
        Address: '127.0.0.1',
        EnableTagOverride: false,
      });
      await client.put('/v1/agent/check/register', {
        ID: 'vault:127.0.0.1:8200:vault-sealed-check',
        Name: 'Vault Sealed Status',
        Notes:
          'Vault service is healthy when Vault is in an unsealed status and can become an active Vault server',
        ServiceID: 'vault:127.0.0.1:8200',
        TTL: '5s',
        Status: 'passing',
      });
      const pass = '/v1/agent/check/pass/vault:127.0.0.1:8200:vault-sealed-check?note=Vault+Unsealed';
      expect((await client.put(pass)).status).toBe(200);
      expect(bodyOf(await client.get('/v1/agent/checks'))).toMatchObject({
        'vault:127.0.0.1:8200:vault-sealed-check': { Status: 'passing', Output: 'Vault Unsealed' },
      });
      await client.put('/v1/agent/service/deregister/vault:127.0.0.1:8200');
    });

    test('Vault and Terraform: a value that is too large is refused with the words that they look for', async () => {
      const value = Buffer.alloc(524_289, 'x').toString('base64');
      const refused = await client.put('/v1/txn', [{ KV: { Verb: 'set', Key: 'big', Value: value } }]);
      expect(refused.status).toBe(413);
      expect(refused.text).toContain('too large');
    });

    test('Terraform: state is written by a transaction of one operation, and its version taken from the answer', async () => {
      const set = (operation: object): object[] => [
        { KV: { Key: 'terraform/state', Value: Buffer.from('{}').toString('base64'), ...operation } },
      ];
      const first = bodyOf(await client.put('/v1/txn', set({ Verb: 'set' }))) as TxnAnswer;
      const version = first.Results?.[0]?.KV.ModifyIndex ?? 0;
      const [entry] = bodyOf(await client.get('/v1/kv/terraform/state')) as KvEntry[];
      expect(entry?.ModifyIndex).toBe(version);
      const value = Buffer.from('{"serial":2}').toString('base64');
      const second = await client.put('/v1/txn', set({ Verb: 'cas', Index: version, Value: value }));
      expect((bodyOf(second) as TxnAnswer).Results?.[0]?.KV.ModifyIndex).toBeGreaterThan(version);
      const stale = await client.put('/v1/txn', set({ Verb: 'cas', Index: version }));
      expect(stale.status).toBe(409);
    });

    test('Terraform: state that is too large is written in chunks of 524288 bytes', async () => {
      const state = Buffer.alloc(1_200_000, 'terraform ');
      const chunks: string[] = [];
      for (let at = 0; at < state.length; at += 524_288) {
        const chunk = `terraform/big/tfstate.hash/${chunks.length}`;
        const stored = await client.put(`/v1/kv/${chunk}`, state.subarray(at, at + 524_288).toString());
        expect(stored.text).toBe('true');
        chunks.push(chunk);
      }
      const read = await Promise.all(chunks.map(async (key) => (await client.get(`/v1/kv/${key}?raw`)).text));
      expect(read.join('')).toBe(state.toString());
      expect((await client.del('/v1/kv/terraform/big/?recurse')).text).toBe('true');
    });

    test('Terraform: the lock is tried for its wait time, and who holds it stands in .lockinfo', async () => {
      const [mine, theirs] = await Promise.all([
        createSession({ TTL: '15s', LockDelay: '5s' }),
        createSession({ TTL: '15s', LockDelay: '5s' }),
      ]);
      const lock = '/v1/kv/terraform/state/.lock';
      expect((await client.put(`${lock}?acquire=${mine}&flags=${lockFlags}`)).text).toBe('true');
      await client.put('/v1/kv/terraform/state/.lockinfo', '{"ID":"1"}');
      expect((await client.put(`${lock}?acquire=${theirs}&flags=${lockFlags}`)).text).toBe('false');
      const held = await client.get(lock);
      expect((bodyOf(held) as KvEntry[])[0]).toMatchObject({ Session: mine });
      // Without a change the wait is over after its time, with the same answer: the lock was not had.
      const waited = await client.get(`${lock}?index=${held.index}&wait=100ms`);
      expect(waited.text).toBe(held.text);
      expect((await client.put(`${lock}?release=${mine}`)).text).toBe('true');
      expect((await client.put(`${lock}?acquire=${theirs}&flags=${lockFlags}`)).text).toBe('true');
      await Promise.all([mine, theirs].map((id) => client.put(`/v1/session/destroy/${id}`)));
    });

    test('Consul Semaphore: contenders and the lock under one prefix, the lock changed by its version', async () => {
      const flags = '16210313421097356768';
      const session = await createSession({ Name: 'Consul API Semaphore', TTL: '15s', Behavior: 'delete' });
      expect((await client.put(`/v1/kv/sem/${session}?acquire=${session}&flags=${flags}`)).text).toBe('true');
      const listed = await client.get('/v1/kv/sem/?recurse');
      expect(listed.text).toContain(`"Flags":${flags},`);
      const lock = JSON.stringify({ Limit: 2, Holders: { [session]: true } });
      expect((await client.put(`/v1/kv/sem/.lock?cas=0&flags=${flags}`, lock)).text).toBe('true');
      const monitored = await client.get('/v1/kv/sem/?recurse&consistent');
      await client.put('/v1/kv/semaphore', 'another prefix');
      const monitor = client.get(`/v1/kv/sem/?recurse&consistent&index=${monitored.index}&wait=20s`);
      await client.put(`/v1/session/destroy/${session}`);
      // The contender's key goes with its session, and who watches the semaphore learns of it.
      expect((bodyOf(await monitor) as KvEntry[]).map(({ Key }) => Key)).toEqual(['sem/.lock']);
    });

    async function createSession(body: object): Promise<string> {
      return (bodyOf(await client.put('/v1/session/create', body)) as { ID: string }).ID;
    }
  },
  // Ten seconds otherwise, of which the test of an expiry would wait twenty.
  { session_ttl_min: '1s' },
);
