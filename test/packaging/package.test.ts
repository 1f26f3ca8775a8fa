import { cpSync, existsSync, mkdirSync, readdirSync, readFileSync, symlinkSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { builtinModules } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { projectRoot, runCommand, startAgent, type CommandResult } from '../support/agent-process.ts';
import { layOutBuildStage } from './docker-files.ts';

const root = projectRoot();
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  readonly version: string;
  readonly bin: { readonly grapevine: string };
  readonly dependencies: Readonly<Record<string, string>>;
};

let place: string;
/** What the first stage of the Dockerfile has and builds. */
let built: string;
/** The package as `npm install` lays it out, and the link that it makes. */
let installed: string;
let program: string;
let packed: readonly string[];

beforeAll(async () => {
  place = await mkdtemp(join(tmpdir(), 'packaging-'));
  built = join(place, 'built');
  layOutBuildStage(built);
  must(await runCommand('npm', ['run', 'build'], { cwd: built }));
  packed = await pack();
  installed = join(place, 'app/node_modules/grapevine');
  mkdirSync(dirname(installed), { recursive: true });
  must(await runCommand('tar', ['-xzf', join(place, tarball()), '-C', dirname(installed)]));
  cpSync(join(dirname(installed), 'package'), installed, { recursive: true });
  // Dependencies as they are installed here: SQLite is compiled already.
  symlinkSync(join(root, 'node_modules'), join(installed, 'node_modules'));
  program = join(place, 'app/node_modules/.bin/grapevine');
  mkdirSync(dirname(program));
  symlinkSync(join('../grapevine', manifest.bin.grapevine), program);
}, 120_000);
afterAll(async () => {
  await rm(place, { recursive: true });
});

function must(ran: CommandResult): CommandResult {
  if (ran.code !== 0) throw new Error(`exit code ${ran.code}: ${ran.stdout}${ran.stderr}`);
  return ran;
}

/** Packs the whole tree, with what was just built in place of what may lie in `dist`. */
async function pack(): Promise<readonly string[]> {
  const tree = join(place, 'tree');
  mkdirSync(tree);
  const left = new Set(['.git', 'node_modules', 'dist']);
  for (const name of readdirSync(root)) {
    if (!left.has(name)) cpSync(join(root, name), join(tree, name), { recursive: true });
  }
  cpSync(join(built, 'dist'), join(tree, 'dist'), { recursive: true });
  const args = ['pack', '--json', '--ignore-scripts', '--pack-destination', place];
  const { stdout } = must(await runCommand('npm', args, { cwd: tree }));
  const [made] = JSON.parse(stdout) as [{ readonly files: readonly { readonly path: string }[] }];
  return made.files.map((file) => file.path);
}

function tarball(): string {
  return `grapevine-${manifest.version}.tgz`;
}

function filesUnder(directory: string): readonly string[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

describe('what the image is built from', () => {
  test('is enough for npm run build, whose program runs without what is for development', async () => {
    const ran = await runCommand(join(built, manifest.bin.grapevine), ['version']);
    expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining(`v${manifest.version}`) });
  });

  test('imports only packages that are left when those for development are pruned', () => {
    const imported = new Set<string>();
    for (const file of filesUnder(join(built, 'dist')).filter((each) => each.endsWith('.js'))) {
      const text = readFileSync(file, 'utf8');
      for (const match of text.matchAll(/^(?:import|export)\s(?:[^'"]*?\sfrom\s)?['"]([^'"]+)['"]/gm)) {
        imported.add(match[1] as string);
      }
      for (const match of text.matchAll(/\bimport\(['"]([^'"]+)['"]\)/g)) imported.add(match[1] as string);
    }
    const packages = [...imported]
      .filter((name) => !name.startsWith('.') && !name.startsWith('node:') && !builtinModules.includes(name))
      .map((name) =>
        name
          .split('/')
          .slice(0, name.startsWith('@') ? 2 : 1)
          .join('/'),
      );
    expect(packages).toContain('better-sqlite3');
    expect(Object.keys(manifest.dependencies)).toEqual(expect.arrayContaining([...new Set(packages)]));
  });
});

describe('the npm package', () => {
  test('holds the program, the documents and the licence, and nothing of tests or sources', () => {
    expect(packed).toEqual(
      expect.arrayContaining([
        'LICENSE',
        'README.md',
        'package.json',
        'dist/bin/grapevine.js',
        'docs/compatibility.md',
        'docs/report-schema/readconsistency-1.schema.json',
      ]),
    );
    const top = new Set(packed.map((path) => path.split('/')[0]));
    for (const directory of ['dist', 'docs', 'ui']) top.delete(directory);
    expect(top).toEqual(new Set(['CHANGELOG.md', 'LICENSE', 'README.md', 'package.json']));
    expect(packed.filter((path) => /\.ts$|(^|\/)test\//.test(path))).toEqual([]);
  });

  test('has every document of the tree that the README links to', () => {
    const readme = readFileSync(join(installed, 'README.md'), 'utf8');
    const links = [...readme.matchAll(/\]\(((?:docs\/|[A-Z]+\b)[^)#:]*)\)/g)].map(
      (match) => match[1] as string,
    );
    expect(links).toEqual(expect.arrayContaining(['LICENSE', 'CHANGELOG.md', 'docs/compatibility.md']));
    const inTree = links.filter((path) => existsSync(join(root, path)));
    expect(inTree.filter((path) => !existsSync(join(installed, path)))).toEqual([]);
  });

  test('runs by the link that npm makes, from anywhere', async () => {
    const cwd = join(place, 'app');
    const version = await runCommand(program, ['version'], { cwd });
    expect(version).toMatchObject({ code: 0, stdout: expect.stringContaining(`v${manifest.version}`) });
    const help = await runCommand(program, ['help', 'migrate'], { cwd });
    expect(help).toMatchObject({ code: 0, stdout: expect.stringContaining('compare') });
  });

  test('serves', async () => {
    const gateway = await startAgent({
      command: program,
      namePrefix: 'packed',
      startMsMax: 30_000,
      args: (configFile) => ['agent', '-server', '-bootstrap', `-config-file=${configFile}`],
      config: ({ ports, dataDir, nodeName }) => ({
        node_name: nodeName,
        data_dir: dataDir,
        bind_addr: '127.0.0.1',
        ports: { http: ports.http, dns: ports.dns, server: ports.server, serf_lan: ports.serfLan },
      }),
    });
    try {
      const put = await fetch(`${gateway.url}/v1/kv/a`, { method: 'PUT', body: 'b' });
      expect(await put.text()).toBe('true');
      // Through Express, which is loaded on first need.
      expect((await fetch(`${gateway.url}/v1/agent/self`)).status).toBe(200);
    } finally {
      await gateway.stop();
    }
  });
});
