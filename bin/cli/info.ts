import type { Command } from 'commander';
import { addClientFlags, openClient, parseAnswer, type ClientFlags } from './http-client.ts';

/** `/v1/agent/self`, as far as this needs it. */
interface Self {
  readonly Stats?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

export function registerInfo(program: Command): void {
  addClientFlags(
    program
      .command('info')
      .summary('Print facts and counters of a gateway')
      .description(
        'Prints what a running gateway says of itself, in groups, for people who look for a fault.',
      ),
  ).action(async (flags: ClientFlags) => {
    process.exitCode = await info(flags);
  });
}

async function info(flags: ClientFlags): Promise<number> {
  const client = openClient(flags);
  if (!client.ok) {
    console.error(client.error);
    return 1;
  }
  const answer = await client.value.expectOk('GET', '/v1/agent/self');
  const self = answer.ok ? parseAnswer<Self>(answer.value) : answer;
  if (!self.ok) {
    console.error(`Error querying agent: ${self.error}`);
    return 1;
  }
  console.log(renderStats(self.value.Stats ?? {}));
  return 0;
}

/** Groups and the facts in them by name, each fact on a line that starts with a tab. */
export function renderStats(stats: Readonly<Record<string, Readonly<Record<string, unknown>>>>): string {
  return byName(stats)
    .flatMap(([group, facts]) => [
      `${group}:`,
      ...byName(facts).map(([fact, value]) => `\t${fact} = ${String(value)}`),
    ])
    .join('\n');
}

function byName<T>(object: Readonly<Record<string, T>>): readonly (readonly [string, T])[] {
  return Object.entries(object).toSorted(([a], [b]) => (a < b ? -1 : 1));
}
