#!/usr/bin/env node
import { main } from './cli/main.ts';

// A reader that went away (`grapevine help agent | head`) is no fault, and must not end a running gateway.
for (const stream of [process.stdout, process.stderr]) {
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
}

// Set, not exited with: output that is still on its way to a pipe must arrive.
process.exitCode = await main(process.argv.slice(2));
