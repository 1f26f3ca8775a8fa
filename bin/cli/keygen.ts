import { randomBytes } from 'node:crypto';
import type { Command } from 'commander';

/** AES-256. */
const keyBytes = 32;

export function registerKeygen(program: Command): void {
  program
    .command('keygen')
    .summary('Make a key for gossip encryption')
    .description(
      'Prints 32 random bytes in base64: a key for -encrypt, the same on every gateway of a cluster.',
    )
    .addHelpText(
      'after',
      `
Example:
  $ grapevine keygen > gossip.key
  $ grapevine agent -data-dir=/var/lib/grapevine -encrypt="$(cat gossip.key)"`,
    )
    .action(() => {
      console.log(randomBytes(keyBytes).toString('base64'));
    });
}
