import type { AgentProcess, CommandResult } from '../../support/agent-process.ts';

/**
 * Makes what a command printed comparable between two servers: what must differ (ports, node ids, indexes,
 * versions) gets a name. Widths of columns follow from these, so runs of blanks become one.
 */
export function normalized(result: CommandResult, agent: AgentProcess): CommandResult {
  return {
    code: result.code,
    stdout: normalizedText(result.stdout, agent),
    stderr: normalizedText(result.stderr, agent),
  };
}

function normalizedText(text: string, agent: AgentProcess): string {
  let named = text.replaceAll(agent.dataDir, '<data dir>');
  for (const [use, port] of Object.entries(agent.ports))
    named = named.replaceAll(String(port), `<${use} port>`);
  return named
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/g, '<uuid>')
    .replaceAll(/^(agent-one +)[0-9a-f]{8} /gm, '$1<short id> ')
    .replaceAll(/^((?:Create|Modify)Index +)\d+$/gm, '$1<index>')
    .replaceAll(/build=\d+\.\d+\.\d+:\w*/g, 'build=<build>')
    .replaceAll(/(server +)\d+\.\d+\.\d+/g, '$1<build>')
    .replaceAll(/(to index |at index )\d+/g, '$1<index>')
    .replaceAll(/[ \t]+/g, ' ');
}
