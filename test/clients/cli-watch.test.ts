import { expect, test } from '@jest/globals';
import { decodeBase64, httpClient } from './support/http.ts';
import type { RunningCommand } from './support/running-command.ts';
import { describeServersWithCli } from './support/servers.ts';

/** A handler that prints what it is given, and a mark by which the test knows that it is done. */
const printAll = 'cat; echo; echo "<$CONSUL_INDEX>"';
const marked = /<\d+>/;

interface HealthEntry {
  readonly Service: { readonly ID: string };
  readonly Checks: readonly { readonly CheckID: string; readonly Status: string }[];
}

describeServersWithCli('consul watch', (server) => {
  const client = httpClient(server);

  test('key: the handler runs for each change of the key and for nothing else', async () => {
    const watch = server.startCli(['watch', '-type=key', '-key=watched/one', printAll]);
    expect(await handled(watch, 1)).toEqual([null]);

    await client.put('/v1/kv/watched/one', 'a');
    await handled(watch, 2);
    await client.put('/v1/kv/watched/one-and-more', 'unrelated');
    await client.put('/v1/kv/elsewhere', 'unrelated');
    await client.put('/v1/kv/watched/one', 'a');
    await client.put('/v1/kv/watched/one', 'b');
    await handled(watch, 3);
    await client.del('/v1/kv/watched/one');
    const seen = (await handled(watch, 4)) as ({ Key: string; Value: string } | null)[];
    expect(seen.map((entry) => entry && decodeBase64(entry.Value))).toEqual([null, 'a', 'b', null]);
    await ended(watch);
  });

  test('keyprefix: the handler gets the whole tree after each change in it', async () => {
    await client.put('/v1/kv/tree/a', '1');
    const watch = server.startCli(['watch', '-type=keyprefix', '-prefix=tree/', printAll]);
    await handled(watch, 1);
    await client.put('/v1/kv/treetop', 'unrelated');
    await client.put('/v1/kv/tree/b/c', '2');
    await handled(watch, 2);
    await client.del('/v1/kv/tree/a');
    await handled(watch, 3);
    await client.del('/v1/kv/tree/?recurse');
    const seen = (await handled(watch, 4)) as ({ Key: string }[] | null)[];
    expect(seen.map((list) => (list ?? []).map((entry) => entry.Key))).toEqual([
      ['tree/a'],
      ['tree/a', 'tree/b/c'],
      ['tree/b/c'],
      [],
    ]);
    await ended(watch);
  });

  test('without a handler the present state is printed, and that is all', async () => {
    await client.put('/v1/kv/once', 'x');
    const once = await server.cli(['watch', '-type=key', '-key=once']);
    expect(once.code).toBe(0);
    expect(JSON.parse(once.stdout)).toMatchObject({ Key: 'once', Value: 'eA==' });
    const nodes = await server.cli(['watch', '-type=nodes']);
    expect(JSON.parse(nodes.stdout)).toMatchObject([{ Node: 'agent-one', Address: '127.0.0.1' }]);
  });

  test('services: a service that comes, changes its tags and goes', async () => {
    const watch = server.startCli(['watch', '-type=services', printAll]);
    await handled(watch, 1);
    await register('svc-node', { Service: 'listed', Tags: ['v1'] });
    await handled(watch, 2);
    await client.put('/v1/kv/unrelated', 'x');
    await register('svc-node', { Service: 'listed', Tags: ['v2'] });
    await handled(watch, 3);
    await client.put('/v1/catalog/deregister', { Node: 'svc-node' });
    const seen = (await handled(watch, 4)) as Record<string, string[]>[];
    expect(seen.map((services) => services['listed'])).toEqual([undefined, ['v1'], ['v2'], undefined]);
    await ended(watch);
  });

  test('nodes: a node that comes, changes its address and goes', async () => {
    const watch = server.startCli(['watch', '-type=nodes', printAll]);
    await handled(watch, 1);
    await client.put('/v1/catalog/register', { Node: 'node-two', Address: '10.0.0.2' });
    await handled(watch, 2);
    await client.put('/v1/catalog/register', { Node: 'node-two', Address: '10.0.0.3' });
    await handled(watch, 3);
    await client.put('/v1/catalog/deregister', { Node: 'node-two' });
    const seen = (await handled(watch, 4)) as { Node: string; Address: string }[][];
    expect(seen.map((nodes) => nodes.find(({ Node }) => Node === 'node-two')?.Address)).toEqual([
      undefined,
      '10.0.0.2',
      '10.0.0.3',
      undefined,
    ]);
    await ended(watch);
  });

  test('service: instances and their health, of this service and tag alone', async () => {
    const watch = server.startCli(['watch', '-type=service', '-service=web', '-tag=blue', printAll]);
    await handled(watch, 1);
    await register('web-node', { ID: 'web-1', Service: 'web', Tags: ['blue'] }, 'passing');
    await handled(watch, 2);
    await register('web-node', { ID: 'other', Service: 'other', Tags: ['blue'] }, 'critical');
    await register('web-node', { ID: 'web-1', Service: 'web', Tags: ['blue'] }, 'critical');
    await handled(watch, 3);
    await client.put('/v1/catalog/deregister', { Node: 'web-node', ServiceID: 'web-1' });
    const seen = (await handled(watch, 4)) as HealthEntry[][];
    expect(
      seen.map((entries) =>
        entries.map(({ Service, Checks }) => [Service.ID, ...Checks.map(({ Status }) => Status)]),
      ),
    ).toEqual([[], [['web-1', 'passing']], [['web-1', 'critical']], []]);
    await ended(watch);
  });

  test('service -passingonly: an instance leaves when its check fails', async () => {
    await register('pass-node', { ID: 'p', Service: 'picky' }, 'passing');
    const watch = server.startCli([
      'watch',
      '-type=service',
      '-service=picky',
      '-passingonly=true',
      printAll,
    ]);
    await handled(watch, 1);
    await register('pass-node', { ID: 'p', Service: 'picky' }, 'critical');
    const seen = (await handled(watch, 2)) as HealthEntry[][];
    expect(seen.map((entries) => entries.length)).toEqual([1, 0]);
    await ended(watch);
  });

  test('checks: those of a state, and those of a service', async () => {
    const ofState = server.startCli(['watch', '-type=checks', '-state=critical', printAll]);
    const ofService = server.startCli(['watch', '-type=checks', '-service=checked', printAll]);
    const before = (await handled(ofState, 1))[0] as { CheckID: string }[];
    await handled(ofService, 1);
    await register('check-node', { ID: 'c', Service: 'checked' }, 'passing');
    await handled(ofService, 2);
    await register('check-node', { ID: 'c', Service: 'checked' }, 'critical');
    const states = (await handled(ofState, 2)) as { CheckID: string }[][];
    const services = (await handled(ofService, 3)) as { Status: string }[][];
    expect(states[1]?.length).toBe(before.length + 1);
    expect(states[1]?.map(({ CheckID }) => CheckID)).toContain('check:c');
    expect(services.map((checks) => checks.map(({ Status }) => Status))).toEqual([
      [],
      ['passing'],
      ['critical'],
    ]);
    await Promise.all([ended(ofState), ended(ofService)]);
  });

  test('event: the handler gets an event with its payload, and no other name', async () => {
    const watch = server.startCli(['watch', '-type=event', '-name=deploy', printAll]);
    expect(await handled(watch, 1)).toEqual([[]]);
    await server.cli(['event', '-name=unrelated', 'x']);
    const fired = await server.cli(['event', '-name=deploy', 'release 7']);
    expect(fired.stdout).toMatch(/^Event ID: [0-9a-f-]{36}\n$/);
    const seen = (await handled(watch, 2)) as { ID: string; Name: string; Payload: string }[][];
    expect(seen[1]?.map(({ Name, Payload }) => [Name, decodeBase64(Payload)])).toEqual([
      ['deploy', 'release 7'],
    ]);
    expect(fired.stdout).toContain(seen[1]?.[0]?.ID);
    await ended(watch);
  });

  test('a watch ends by a signal', async () => {
    const watch = server.startCli(['watch', '-type=key', '-key=signalled', printAll]);
    await handled(watch, 1);
    watch.signal('SIGINT');
    expect(await watch.exited()).toBe(0);
  });

  /** Waits until the handler ran so often, and gives what it was given each time. */
  async function handled(watch: RunningCommand, times: number): Promise<unknown[]> {
    await watch.untilPrinted('>\n', times);
    const runs = watch.stdout.split(marked).slice(0, -1);
    return runs.map((text) => JSON.parse(text) as unknown);
  }

  async function ended(watch: RunningCommand): Promise<void> {
    watch.signal('SIGTERM');
    await watch.exited();
  }

  async function register(
    node: string,
    service: { Service: string; ID?: string; Tags?: string[] },
    status?: string,
  ) {
    const id = service.ID ?? service.Service;
    const answer = await client.put('/v1/catalog/register', {
      Node: node,
      Address: '10.0.0.1',
      Service: service,
      ...(status === undefined
        ? {}
        : { Check: { Node: node, CheckID: `check:${id}`, Name: 'check', ServiceID: id, Status: status } }),
    });
    expect(answer.text).toBe('true');
  }
});
