import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { copyingOf, type Phase } from '../../../../src/state/migration.ts';
import { describeRealConsul } from '../../../support/real-consul.ts';
import { cutLinks, deleteMuch, killDirector, killLeader, killRunner, restoreSnapshot } from './faults.ts';
import { loseRights } from './rights.ts';
import { walk } from './run.ts';
import { Scene } from './scene.ts';

const testMsMax = 180_000;

// More of it, for longer and in any order: npm run chaos:migration.
describeRealConsul(
  'a live Consul of three servers, moved by the command line under clients at all doors',
  () => {
    let scene: Scene;
    const said: string[] = [];

    /** With all that was done, to be read where something is found. */
    const found = (): string =>
      scene.problems.length === 0 ? '' : [...scene.problems.splice(0), ...said].join('\n');

    beforeAll(async () => {
      scene = await Scene.start({
        seed: 'whole',
        log: (text) => said.push(text),
        clients: 6,
        thinkMs: 40,
        patienceMs: 2500,
      });
      scene.clients.start();
    }, testMsMax);
    afterAll(async () => {
      await scene?.close();
    }, testMsMax);

    /** One step, some work in the new phase, and a look at both sides. */
    const stepped = async (prefix: '' | 'app/', phase: Phase): Promise<void> => {
      const before = scene.phaseOf(prefix);
      await scene.step(prefix, phase);
      await scene.work(30);
      await scene.settle(`${prefix}: ${before} -> ${phase}`);
      // Where reads are the source's, the copy is seen by a comparison only. Keys below app/ have a rule of their own.
      if (copyingOf(phase) === 'from-source') await scene.verify(prefix === '' ? 'rest/' : prefix);
    };

    const ways: readonly { readonly prefix: '' | 'app/'; readonly way: readonly Phase[] }[] = [
      {
        prefix: 'app/',
        way: ['mirror', 'passthrough', 'mirror', 'dual', 'mirror', 'dual', 'passthrough'],
      },
      { prefix: '', way: ['mirror', 'dual', 'mirror', 'passthrough'] },
      {
        prefix: 'app/',
        way: ['mirror', 'dual', 'shadow', 'dual', 'shadow', 'local-reads', 'shadow', 'local-reads'],
      },
      { prefix: 'app/', way: ['cutover', 'local-reads', 'cutover'] },
    ];
    test.each(ways)(
      'loses nothing of $prefix on the way $way',
      async ({ prefix, way }) => {
        for (const phase of way) await stepped(prefix, phase);
        expect(found()).toBe('');
      },
      testMsMax,
    );

    test(
      'loses nothing of what was written here when the source is restored after a cutover, and has it again',
      async () => {
        await walk(scene, 'app/', 'cutover');
        await scene.work(30);
        await restoreSnapshot(scene);
        await scene.settle('restored after the cutover');
        await walk(scene, 'app/', 'passthrough');
        await scene.work(30);
        await scene.settle('restored, and back');
        expect(found()).toBe('');
      },
      testMsMax,
    );

    test(
      'loses nothing by kills, cut links, a restored snapshot and a mass delete while it is copied',
      async () => {
        await walk(scene, 'app/', 'mirror');
        await killRunner(scene);
        await restoreSnapshot(scene);
        await scene.settle('killed and restored in mirror');
        await walk(scene, 'app/', 'dual');
        await Promise.all([killRunner(scene), killLeader(scene)]);
        await cutLinks(scene, true);
        await scene.settle('killed and cut in dual');
        await restoreSnapshot(scene);
        await scene.settle('restored in dual');
        await walk(scene, 'app/', 'local-reads');
        await deleteMuch(scene, 'app/');
        await scene.settle('much was deleted');
        expect(found()).toBe('');
      },
      testMsMax,
    );

    test(
      'loses nothing when who directs its cutover is killed, or the source loses its leader in it',
      async () => {
        await killDirector(scene, 'app/', () => scene.step('app/', 'cutover'));
        await scene.work(30);
        await scene.settle('killed in the cutover');
        await Promise.all([scene.step('app/', 'local-reads'), killLeader(scene)]);
        await scene.settle('back, without a leader for a while');
        expect(found()).toBe('');
      },
      testMsMax,
    );

    test(
      'is all here in the end, whatever the source then is',
      async () => {
        await walk(scene, 'app/', 'final');
        await walk(scene, '', 'final');
        await scene.work(30);
        await scene.settle('everything is final');
        await Promise.all(scene.cluster.servers.map(({ agent }) => agent.kill()));
        await scene.work(30);
        await scene.settle('the source is gone');
        const phases: readonly (readonly [string, Phase])[] = [...scene.phases];
        expect(phases.every(([, phase]) => phase === 'final')).toBe(true);
        expect(found()).toBe('');
      },
      testMsMax,
    );
  },
);

describeRealConsul('a Consul whose token loses the right to read a part', () => {
  test(
    'has nothing of it deleted here',
    async () => {
      expect(await loseRights(() => {})).toEqual([]);
    },
    testMsMax,
  );
});
