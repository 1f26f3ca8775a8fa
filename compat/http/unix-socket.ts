import { chmodSync, chownSync, existsSync, lstatSync, readFileSync, unlinkSync } from 'node:fs';
import { StartProblem } from '../../src/kernel/start-problem.ts';

/** `unix_sockets` of the configuration. */
export interface UnixSocketAccess {
  /** Names or numbers; unset: those of the process. */
  readonly user?: string | undefined;
  readonly group?: string | undefined;
  /** Octal permission bits, such as `660`; unset: what the umask leaves. */
  readonly mode: string | undefined;
}

/** A socket file left by a process that was killed would make listening fail. */
export function removeStaleSocket(path: string): void {
  if (existsSync(path) && lstatSync(path).isSocket()) unlinkSync(path);
}

/** Gives a socket to whom the configuration says. Throws a StartProblem where a name is unknown, else what the
 * system throws. */
export function grantAccess(path: string, { user, group, mode }: UnixSocketAccess): void {
  if (isSet(user) || isSet(group)) {
    // -1 leaves it as it is.
    const uid = isSet(user) ? idOf('user', user, '/etc/passwd') : -1;
    const gid = isSet(group) ? idOf('group', group, '/etc/group') : -1;
    chownSync(path, uid, gid);
  }
  if (mode !== undefined) chmodSync(path, parseInt(mode, 8));
}

function isSet(name: string | undefined): name is string {
  return name !== undefined && name !== '';
}

/** Node knows no look-up of users: the files where they stand have the id in their third field. */
function idOf(what: string, name: string, file: string): number {
  if (/^\d+$/.test(name)) return Number(name);
  const line = readFileSync(file, 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${name}:`));
  const id = Number(line?.split(':')[2]);
  if (!Number.isInteger(id)) {
    throw new StartProblem(`unix_sockets.${what} ${JSON.stringify(name)} is not known on this machine`);
  }
  return id;
}
