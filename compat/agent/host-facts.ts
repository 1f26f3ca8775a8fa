import { readFile, statfs } from 'node:fs/promises';
import { arch, cpus, freemem, hostname, platform, release, totalmem, uptime } from 'node:os';
import type { JsonValue } from '../wire/go-json.ts';
import type { HostPort } from './port.ts';

/** Describes this machine with the names of Consul's answer; what Node cannot tell is left out. */
export function hostFacts(diskPath: string): HostPort {
  return {
    describe: async () => {
      const errors: string[] = [];
      const failed = (error: unknown): undefined => {
        errors.push(error instanceof Error ? error.message : String(error));
        return undefined;
      };
      const [disk, osRelease] = await Promise.all([describeDisk(diskPath).catch(failed), readOsRelease()]);
      return {
        Memory: describeMemory(),
        CPU: cpus().map(({ model, speed }, cpu) => ({ cpu, cores: 1, modelName: model, mhz: speed })),
        Host: {
          hostname: hostname(),
          uptime: Math.floor(uptime()),
          bootTime: Math.floor(Date.now() / 1000 - uptime()),
          os: platform(),
          platform: osRelease['ID'] ?? platform(),
          platformFamily: osRelease['ID_LIKE'] ?? osRelease['ID'] ?? '',
          platformVersion: osRelease['VERSION_ID'] ?? '',
          kernelVersion: release(),
          kernelArch: arch() === 'x64' ? 'x86_64' : arch(),
        },
        Disk: disk ?? null,
        CollectionTime: BigInt(Date.now()) * 1_000_000n,
        Errors: errors.length === 0 ? null : errors,
      };
    },
  };
}

function describeMemory(): JsonValue {
  const total = totalmem();
  const free = freemem();
  return {
    total,
    available: free,
    used: total - free,
    usedPercent: (100 * (total - free)) / total,
    free,
  };
}

async function describeDisk(path: string): Promise<JsonValue> {
  const { bsize, blocks, bavail, bfree, files, ffree } = await statfs(path);
  const used = (blocks - bfree) * bsize;
  const inodesUsed = files - ffree;
  return {
    path,
    total: blocks * bsize,
    free: bavail * bsize,
    used,
    usedPercent: (100 * used) / (used + bavail * bsize || 1),
    inodesTotal: files,
    inodesUsed,
    inodesFree: ffree,
    inodesUsedPercent: (100 * inodesUsed) / (files || 1),
  };
}

/** Linux distributions say who they are here; elsewhere it is not there. */
async function readOsRelease(): Promise<Readonly<Record<string, string>>> {
  try {
    const text = await readFile('/etc/os-release', 'utf8');
    return Object.fromEntries(
      text.split('\n').flatMap((line) => {
        const [, name, value] = /^([A-Z_]+)="?(.*?)"?$/.exec(line) ?? [];
        return name === undefined || value === undefined ? [] : [[name, value]];
      }),
    );
  } catch {
    return {};
  }
}
