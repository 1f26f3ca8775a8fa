import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

// House rules that no linter knows. Each says what to do instead.

interface Problem {
  readonly file: string;
  readonly line?: number;
  readonly message: string;
}

const linesMax = 450;
const kebabCase = /^[a-z0-9]+(-[a-z0-9]+)*(\.[a-z0-9-]+)*$/;

const banned: readonly { readonly pattern: RegExp; readonly where: RegExp; readonly message: string }[] = [
  {
    pattern: /\b(describe|test|it)\.(only|skip|todo)\(|\bxit\(/,
    where: /^test\/.*\.test\.ts$/,
    message: 'a test that is left out or alone: finish it or remove it',
  },
  {
    pattern: /@ts-(ignore|nocheck|expect-error)/,
    where: /\.ts$/,
    message: 'the type checker is silenced: mend the types',
  },
  { pattern: /SELECT \*/, where: /^src\/.*\.ts$/, message: 'SELECT *: name the columns' },
  {
    pattern: /\b(TODO|FIXME|XXX)\b/,
    where: /\.(ts|md|sh)$/,
    message: 'a note to nobody: do it, or file an issue',
  },
  {
    pattern: /^export (\*|\{[^}]*\}) from/,
    where: /\.ts$/,
    message: 're-export: import from where it is defined',
  },
  {
    pattern: /^export default /,
    where: /^(src|compat|migration|bin|test|bench|scripts)\//,
    message: 'default export: name it',
  },
];

function tracked(): readonly string[] {
  return execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], { encoding: 'utf8' })
    .split('\n')
    .filter((file) => file !== '' && existsSync(file));
}

function problemsOf(file: string): readonly Problem[] {
  const problems: Problem[] = [];
  const name = file.split('/').at(-1) ?? '';
  if (
    /^(src|compat|migration|bin|bench|scripts|test)\//.test(file) &&
    file.endsWith('.ts') &&
    !kebabCase.test(name)
  ) {
    problems.push({ file, message: 'file names are kebab-case' });
  }
  if (!/\.(ts|md|sh|json|yml)$/.test(file) || file === 'package-lock.json') return problems;
  const text = readFileSync(file, 'utf8');
  const lines = text.split('\n');
  if (file.endsWith('.ts') && lines.length > linesMax) {
    problems.push({ file, message: `${lines.length} lines, at most ${linesMax}: split it by meaning` });
  }
  lines.forEach((content, i) => {
    for (const { pattern, where, message } of banned) {
      // This file names what it bans.
      if (file !== 'scripts/tidy.ts' && where.test(file) && pattern.test(content)) {
        problems.push({ file, line: i + 1, message });
      }
    }
    if (file.endsWith('.md')) problems.push(...brokenLinks(file, content, i + 1));
  });
  return problems;
}

/** Links of a document to files of this repository that are not there. */
function brokenLinks(file: string, content: string, line: number): readonly Problem[] {
  return [...content.matchAll(/\]\((?!https?:|#|mailto:)([^)#\s]+)/g)]
    .map((match) => match[1] ?? '')
    .filter((target) => !existsSync(join(dirname(file), target)))
    .map((target) => ({ file, line, message: `link to ${target}, which does not exist` }));
}

const problems = tracked().flatMap(problemsOf);
for (const problem of problems) {
  console.error(`${problem.file}${problem.line === undefined ? '' : `:${problem.line}`}: ${problem.message}`);
}
if (problems.length > 0) process.exitCode = 1;
