import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { FrontDoor, get, putText } from './harness.ts';

let door: FrontDoor;
beforeEach(async () => {
  door = await new FrontDoor().open();
});
afterEach(async () => door.close());

describe('blocking queries', () => {
  test('a change answers with the new body and a higher index', async () => {
    await door.put('/v1/kv/a', '1');
    const { index } = await door.request('/v1/kv/a');
    const waiting = door.request(`/v1/kv/a?index=${index}`);
    await door.untilWaiting(1);
    await door.put('/v1/kv/a', '2');
    const got = await waiting;
    expect([got.status, JSON.parse(got.text)]).toMatchObject([
      200,
      [{ Value: 'Mg==', ModifyIndex: got.index }],
    ]);
    expect(got.index).toBeGreaterThan(index);
  });

  test('the end of the wait answers 200 with the current body and the index unchanged', async () => {
    await door.put('/v1/kv/a', '1');
    const first = await door.request('/v1/kv/a');
    const waiting = door.request(`/v1/kv/a?index=${first.index}&wait=60ms`);
    await door.untilWaiting(1);
    await door.put('/v1/kv/unrelated', '1');
    const got = await waiting;
    expect([got.status, got.text, got.index]).toEqual([200, first.text, first.index]);
    expect(door.live.stats.waiting).toBe(0);
  });

  test('the end of the wait for what is not there answers 404 with its index unchanged', async () => {
    const first = await door.request('/v1/kv/none');
    const waiting = door.request(`/v1/kv/none?index=${first.index}&wait=60ms`);
    await door.untilWaiting(1);
    await door.put('/v1/kv/unrelated', '1');
    expect(await waiting).toMatchObject({ status: 404, text: '', index: first.index });
  });

  test('creation, change below a prefix, and deletion wake; writes of the same value and other keys do not', async () => {
    const { index } = await door.request('/v1/kv/p/?recurse');
    const created = door.request(`/v1/kv/p/?recurse&index=${index}`);
    await door.untilWaiting(1);
    await door.put('/v1/kv/other', '1');
    await door.put('/v1/kv/p/a', '1');
    const first = await created;
    expect(first.status).toBe(200);
    const gone = door.request(`/v1/kv/p/a?index=${first.index}`);
    await door.untilWaiting(1);
    await door.put('/v1/kv/p/a', '1');
    await door.put('/v1/kv/p/b', '1');
    expect(door.live.stats.waiting).toBe(1);
    await door.request('/v1/kv/p/a', { method: 'DELETE' });
    const last = await gone;
    expect(last.status).toBe(404);
    expect(last.index).toBeGreaterThan(first.index);
  });

  test('an index above anything that was shown answers at once with the true one', async () => {
    await door.put('/v1/kv/a', '1');
    const { index } = await door.request('/v1/kv/a');
    for (const far of [index + 1_000_000, '18446744073709551615']) {
      const got = await door.request(`/v1/kv/a?index=${far}&wait=5m`);
      expect([got.status, got.index]).toEqual([200, index]);
    }
  });

  test('an index of 0, none, or a wait alone never blocks', async () => {
    await door.put('/v1/kv/a', '1');
    for (const query of ['index=0', 'wait=5m', 'index=', 'index=0&wait=5m']) {
      expect((await door.request(`/v1/kv/a?${query}`)).status).toBe(200);
    }
  });

  test('a client that goes away cancels its wait', async () => {
    const { index } = await door.request('/v1/kv/a');
    const client = await door.raw();
    client.write(get(`/v1/kv/a?index=${index}`));
    await door.untilWaiting(1);
    client.socket.destroy();
    await door.untilWaiting(0);
    expect(door.defects).toEqual([]);
  });

  test('a client that aborts its request cancels its wait, also half-closed', async () => {
    const { index } = await door.request('/v1/kv/a');
    const client = await door.raw();
    client.write(get(`/v1/kv/a?index=${index}`));
    await door.untilWaiting(1);
    client.socket.end();
    await door.untilWaiting(0);
    await client.closed;
    expect(client.text).toBe('');
  });

  test('1,000 clients that wait for one key are answered by one evaluation', async () => {
    const { index } = await door.request('/v1/kv/a');
    const waiting = Array.from({ length: 1000 }, () => door.request(`/v1/kv/a?index=${index}`));
    await door.untilWaiting(1000);
    const { evaluations } = door.live.stats;
    await door.put('/v1/kv/a', 'now');
    const answers = await Promise.all(waiting);
    expect(new Set(answers.map((answer) => answer.text)).size).toBe(1);
    expect(answers.every((answer) => answer.status === 200)).toBe(true);
    expect(door.live.stats.evaluations).toBe(evaluations + 1);
  });
});

describe('requests of one connection', () => {
  test('are served in their order, so that a read after a write sees it', async () => {
    const client = await door.raw();
    const requests = Array.from(
      { length: 500 },
      (_, i) => putText('/v1/kv/seq', `value ${i}.`) + get('/v1/kv/seq?raw'),
    );
    client.write(requests.join(''));
    await client.until((text) => text.includes('value 499.'));
    const shown = [...client.text.matchAll(/value (\d+)\./g)].map((match) => Number(match[1]));
    expect(shown).toEqual(Array.from({ length: 500 }, (_, i) => i));
    expect(client.text.match(/HTTP\/1\.1 200 OK/g)).toHaveLength(1000);
  });

  test('one that blocks holds back those behind it, and the end of the connection ends them all', async () => {
    await door.put('/v1/kv/a', '1');
    const { index } = await door.request('/v1/kv/a');
    const client = await door.raw();
    client.write(get(`/v1/kv/a?index=${index}`).repeat(50) + putText('/v1/kv/never', 'x'));
    await door.untilWaiting(1);
    await door.put('/v1/kv/unrelated', 'x');
    expect(door.live.stats.waiting).toBe(1);
    client.socket.destroy();
    await door.untilWaiting(0);
    await door.put('/v1/kv/a', '2');
    expect((await door.request('/v1/kv/never')).status).toBe(404);
    expect(door.live.stats.waiting).toBe(0);
  });

  test('behind one that blocked are served once it is answered', async () => {
    await door.put('/v1/kv/a', '1');
    const { index } = await door.request('/v1/kv/a');
    const client = await door.raw();
    client.write(get(`/v1/kv/a?index=${index}`) + putText('/v1/kv/behind', 'x') + get('/v1/kv/behind?raw'));
    await door.untilWaiting(1);
    expect((await door.request('/v1/kv/behind')).status).toBe(404);
    await door.put('/v1/kv/a', '2');
    await client.until((text) => (text.match(/HTTP\/1\.1 200 OK/g) ?? []).length === 3);
    expect((await door.request('/v1/kv/behind?raw')).text).toBe('x');
  });
});
