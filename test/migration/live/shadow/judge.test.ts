import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, test } from '@jest/globals';
import { sumCells } from '../../../../migration/evidence/sums.ts';
import { evidenceFile } from '../../../../migration/live/shadow/evidence-file.ts';
import { factsOf, type Facts, type SideAnswer } from '../../../../migration/live/shadow/facts.ts';
import { judge } from '../../../../migration/live/shadow/judge.ts';
import { questionOf } from '../../../../migration/live/shadow/question.ts';
import { Sightings } from '../../../../migration/live/shadow/sightings.ts';
import { apiRequest } from '../../../support/state.ts';
import { Rig } from './rig.ts';

const gatewayNodes = new Set(['gw']);

function facts(url: string, body: unknown, more: Partial<SideAnswer> = {}): Facts {
  const question = questionOf(apiRequest('GET', url), 'dc1');
  if (question === undefined) throw new Error(`${url} is not compared`);
  const answer = {
    status: 200,
    index: 5,
    body: JSON.stringify(body),
    contentType: 'application/json',
    ...more,
  };
  const found = factsOf(question, answer, { gatewayNodes });
  if (found === undefined) throw new Error('no such answer');
  return found;
}

const check = (id: string, status: string, more: object = {}): object => ({
  ...{ Node: 'n1', CheckID: id, Name: id, Status: status, ServiceID: '', CreateIndex: 1, ModifyIndex: 2 },
  ...more,
});

describe('catalog answers', () => {
  const url = '/v1/health/state/any';
  test.each<readonly [string, readonly object[], readonly object[], string]>([
    [
      'in another order match',
      [check('a', 'passing'), check('b', 'passing')],
      [check('b', 'passing'), check('a', 'passing')],
      'matched',
    ],
    [
      'of other indexes match',
      [check('a', 'passing')],
      [check('a', 'passing', { ModifyIndex: 900 })],
      'matched',
    ],
    [
      'of another output are passed over',
      [check('a', 'passing')],
      [check('a', 'passing', { Output: 'x' })],
      'ignored',
    ],
    [
      'with a gateway’s own node are passed over',
      [check('a', 'passing')],
      [check('a', 'passing'), check('a', 'passing', { Node: 'GW' })],
      'ignored',
    ],
    ['of another status differ by status', [check('a', 'passing')], [check('a', 'critical')], 'status'],
    [
      'of another name differ by value',
      [check('a', 'passing')],
      [check('a', 'passing', { Name: 'other' })],
      'value',
    ],
    ['without an entry are missing it', [check('a', 'passing')], [], 'missing'],
    ['with one too many have it extra', [], [check('a', 'passing')], 'extra'],
  ])('%s', (_, source, here, expected) => {
    const [left, right] = [facts(url, source), facts(url, here)];
    const verdict = judge(left, right, left);
    expect(verdict.kind === 'differs' ? verdict.difference : verdict.kind).toBe(expected);
  });

  test('a change of the source between two readings is moving, unless here agrees with one of them', () => {
    const [a, b, c] = ['passing', 'warning', 'critical'].map((status) => facts(url, [check('a', status)]));
    if (a === undefined || b === undefined || c === undefined) throw new Error('no facts');
    expect(judge(a, c, b).kind).toBe('moving');
    expect(judge(a, a, b).kind).toBe('matched');
    expect(judge(a, b, b).kind).toBe('matched');
  });

  test('an error text differs by its status from an answer', () => {
    const source = facts(url, [], {});
    const here = facts(url, 'x', { status: 400 });
    expect(judge(source, here, source)).toMatchObject({ kind: 'differs', difference: 'status' });
  });
});

describe('what a client’s token may not see at the source', () => {
  test.each(['silently', 'with a header', 'with a refusal'] as const)(
    'left out %s, is indeterminate; what nobody may see there is extra',
    async (how) => {
      const rig: Rig = new Rig({
        recheckDelaysMs: [10],
        ask: {
          ask: async (question) => {
            const answer = await rig.source.ask(question);
            if (question.token !== 'weak' || answer.kind !== 'answer') return answer;
            if (how === 'with a refusal')
              return { ...answer, status: 403, body: Buffer.from('Permission denied') };
            const list = (JSON.parse(answer.body.toString()) as { readonly Key: string }[]).filter(
              ({ Key }) => Key !== 'k/secret',
            );
            const header = (name: string): string | undefined =>
              how === 'with a header' && name === 'x-consul-results-filtered-by-acls'
                ? 'true'
                : answer.header(name);
            return { ...answer, header, body: Buffer.from(JSON.stringify(list)) };
          },
        },
      });
      await rig.start();
      rig.put('k/open', 'x');
      rig.put('k/secret', 'x');
      rig.read('/v1/kv/k/?recurse', { client: 'weak' });
      await rig.idle();
      await rig.time.advance(1_000);
      expect(sumCells(rig.shadow.ownEvidence().cells).counts).toMatchObject({
        ...{ compared: 1, indeterminate: 1, persistent: 0, matched: 0 },
      });
      rig.source.delete('k/secret');
      rig.read('/v1/kv/k/?recurse', { client: 'strong' });
      await rig.idle();
      await rig.time.advance(1_000);
      expect(sumCells(rig.shadow.ownEvidence().cells)).toMatchObject({
        ...{ counts: { compared: 2, persistent: 1 }, kinds: { extra: { persistent: 1 } } },
      });
      await rig.stop();
    },
  );
});

describe('how late an answer was', () => {
  test('is nothing where what it misses was acknowledged after it began', () => {
    const seen = new Sightings(0);
    seen.saw('k', 8, 500, 500, true);
    expect(seen.staleness('k', 5, 400)).toEqual({ lowMs: 0, highMs: 0, versionsBehind: 0 });
    expect(seen.staleness('k', 8, 600)).toEqual({ lowMs: 0, highMs: 0, versionsBehind: 0 });
    expect(seen.staleness('other', 5, 400)).toBeUndefined();
  });

  test('is not taken for nothing where the source was only asked after it', () => {
    const seen = new Sightings(0);
    seen.indexes.nothingAbove(6, 300);
    seen.indexes.nothingAbove(20, 350);
    seen.saw('k', 8, 450, 460, false);
    expect(seen.staleness('k', 5, 400)).toEqual({ lowMs: 0, highMs: 100, versionsBehind: 0 });
  });

  test('is exact for what was acknowledged, and counts versions', () => {
    const seen = new Sightings(0);
    seen.saw('k', 5, 100, 100, true);
    seen.saw('k', 8, 200, 200, true);
    seen.saw('k', 9, 300, 300, true);
    expect(seen.staleness('k', 5, 450)).toEqual({ lowMs: 250, highMs: 250, versionsBehind: 2 });
  });
});

test('evidence on disk is nobody else’s to read, is written whole, and a missing one is none', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'evidence-'));
  const path = join(dir, 'evidence.json');
  const store = evidenceFile(path);
  expect(await store.load()).toBeUndefined();
  writeFileSync(`${path}.new`, 'torn');
  await store.save('one');
  await store.save('two');
  expect(await store.load()).toBe('two');
  expect(statSync(path).mode & 0o777).toBe(0o600);
  rmSync(dir, { recursive: true });
});
