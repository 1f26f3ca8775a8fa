import { execFile } from 'node:child_process';
import { mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

// The load generator is wrk (Debian: `apt-get install wrk`): one thread, closed loop, keep-alive connections.

/** Requests per second that one run of wrk reached, and its median latency in milliseconds. */
export interface Load {
  readonly perSecond: number;
  readonly medianMs: number;
}

export interface LoadOptions {
  readonly url: string;
  readonly connections: number;
  readonly seconds: number;
  /** Lua for wrk that makes the requests; plain GETs of `url` without it. */
  readonly script?: string;
}

const scripts = mkdtempSync(join(tmpdir(), 'grapevine-bench-'));

/** PUTs of new values to 1,000 keys in turn: every one of them changes something. */
export const putScript = writeScript(
  'put.lua',
  `local n = 0
local start = os.time()
request = function()
  n = n + 1
  return wrk.format("PUT", "/v1/kv/bench/key-" .. (n % 1000), nil, "value-" .. n .. "-" .. start)
end
`,
);

function writeScript(name: string, text: string): string {
  const file = join(scripts, name);
  writeFileSync(file, text);
  return file;
}

export async function wrk(options: LoadOptions): Promise<Load> {
  const args = ['-t1', `-c${options.connections}`, `-d${options.seconds}s`, '--latency'];
  if (options.script !== undefined) args.push('-s', options.script);
  const output = await run('wrk', [...args, options.url]);
  const failed = /Non-2xx or 3xx responses: (\d+)|Socket errors: (.*)/.exec(output);
  if (failed !== null) throw new Error(`wrk saw failures against ${options.url}: ${failed[0]}`);
  const perSecond = Number(/Requests\/sec:\s+([\d.]+)/.exec(output)?.[1]);
  const median = /50%\s+([\d.]+)(us|ms|s)/.exec(output);
  const unit = { us: 1e-3, ms: 1, s: 1e3 }[median?.[2] ?? 'ms'] ?? 1;
  return { perSecond, medianMs: Number(median?.[1]) * unit };
}

async function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    execFile(command, args, (error, stdout) => {
      if (error === null) resolve(stdout);
      else if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
        reject(new Error('wrk is not installed: "apt-get install wrk", then run this again'));
      } else reject(error);
    });
  });
}
