import { readFileSync } from 'node:fs';
import { parseGoDuration } from '../../compat/wire/go-duration.ts';
import { err, ok, type Result } from '../../src/kernel/result.ts';
import type { Clock } from '../clock.ts';
import { normalisePrefixes } from '../mirror/regions.ts';
import { parseAddress, type TlsSettings } from '../source/address.ts';
import { Connection } from '../source/connection.ts';

export type Environment = Readonly<Record<string, string | undefined>>;

/** What both commands of `grapevine migrate` take, as the command line gives it. */
export type CommonFlags = {
  readonly from?: string;
  readonly to?: string;
  readonly token?: string;
  readonly fromTokenFile?: string;
  readonly toToken?: string;
  readonly caFile?: string;
  readonly clientCert?: string;
  readonly clientKey?: string;
  readonly tlsServerName?: string;
  readonly tlsSkipVerify?: boolean;
  readonly toCaFile?: string;
  readonly prefix?: readonly string[];
  readonly kvOnly?: boolean;
  readonly catalogOnly?: boolean;
  readonly timeout?: string;
  readonly rps?: number;
  readonly concurrency?: number;
};

export type Settings = {
  readonly from: string;
  readonly to: string;
  readonly sourceToken: string;
  readonly targetToken: string;
  readonly sourceTls: TlsSettings;
  readonly targetTls: TlsSettings;
  readonly prefixes: readonly string[];
  readonly kv: boolean;
  readonly catalog: boolean;
  readonly timeoutMs: number;
  readonly requestsPerSecondMax: number;
  readonly concurrencyMax: number;
};

/** The error is one line that names the flag, its value and what is allowed. */
export function readSettings(flags: CommonFlags, env: Environment): Result<Settings, string> {
  const from = flags.from ?? '';
  if (from === '')
    return err('-from is missing: the address of the source Consul, such as http://127.0.0.1:8500');
  const to = firstSet(flags.to, env['GRAPEVINE_HTTP_ADDR'], env['CONSUL_HTTP_ADDR']) ?? '127.0.0.1:8500';
  const [source, target] = [parseAddress(from), parseAddress(to)];
  if (!source.ok) return err(`-from: ${source.error}`);
  if (!target.ok) return err(`-to: ${target.error}`);
  if (source.value.shown === target.value.shown) {
    const hint = flags.to === undefined ? ': name the gateway with -to or GRAPEVINE_HTTP_ADDR' : '';
    return err(`source and gateway are the same, ${source.value.shown}${hint}`);
  }
  if (flags.kvOnly === true && flags.catalogOnly === true)
    return err('-kv-only and -catalog-only exclude each other');
  const timeout = parseGoDuration(flags.timeout ?? '30s');
  if (!timeout.ok || timeout.value <= 0)
    return err(`-timeout=${flags.timeout ?? ''}: a duration such as 30s`);
  const rps = flags.rps ?? 200;
  if (rps < 1) return err(`-rps=${rps}: at least 1`);
  const concurrency = flags.concurrency ?? 8;
  if (concurrency < 1 || concurrency > 128) return err(`-concurrency=${concurrency}: from 1 to 128`);
  try {
    const tokenFile = flags.fromTokenFile;
    const sourceToken =
      tokenFile === undefined
        ? (firstSet(flags.token, env['CONSUL_HTTP_TOKEN']) ?? '')
        : readFileSync(tokenFile, 'utf8').trim();
    return ok({
      from,
      to,
      sourceToken,
      targetToken: firstSet(flags.toToken, env['GRAPEVINE_HTTP_TOKEN']) ?? '',
      sourceTls: {
        ...fileSetting('ca', flags.caFile),
        ...fileSetting('cert', flags.clientCert),
        ...fileSetting('key', flags.clientKey),
        ...(flags.tlsServerName === undefined ? {} : { servername: flags.tlsServerName }),
        ...(flags.tlsSkipVerify === true ? { rejectUnauthorized: false } : {}),
      },
      targetTls: fileSetting('ca', flags.toCaFile),
      prefixes: normalisePrefixes(flags.prefix ?? ['']),
      kv: flags.catalogOnly !== true,
      catalog: flags.kvOnly !== true,
      timeoutMs: timeout.value / 1e6,
      requestsPerSecondMax: rps,
      concurrencyMax: concurrency,
    });
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}

export type OpenSides = {
  readonly source: Connection;
  readonly target: Connection;
  readonly close: () => void;
};

export function openSides(
  settings: Settings,
  clock: Clock,
  signal: AbortSignal,
  onRetry: (side: 'source' | 'target', text: string) => void,
): OpenSides {
  const shared = { timeoutMs: settings.timeoutMs, attemptsMax: 10, clock, chance: Math.random };
  const told = (side: 'source' | 'target', address: string) => ({
    onRetry: ({ reason, waitMs, attempt }: { reason: string; waitMs: number; attempt: number }): void =>
      onRetry(side, `waiting for ${address}: ${reason} (attempt ${attempt}, again in ${waitMs} ms)`),
  });
  const source = new Connection({
    ...shared,
    address: settings.from,
    token: settings.sourceToken,
    tls: settings.sourceTls,
    concurrencyMax: settings.concurrencyMax,
    requestsPerSecondMax: settings.requestsPerSecondMax,
    signal,
    ...told('source', settings.from),
  });
  // Without the signal: what was read when an interrupt came is still committed.
  const target = new Connection({
    ...shared,
    address: settings.to,
    token: settings.targetToken,
    tls: settings.targetTls,
    concurrencyMax: settings.concurrencyMax,
    requestsPerSecondMax: 100_000,
    ...told('target', settings.to),
  });
  const close = (): void => {
    source.close();
    target.close();
  };
  return { source, target, close };
}

/** `1s,5s,30s` in milliseconds, ascending; `none` for no second look. */
export function parseDelays(text: string): Result<readonly number[], string> {
  if (text === 'none') return ok([]);
  const delays: number[] = [];
  for (const part of text.split(',')) {
    const parsed = parseGoDuration(part.trim());
    if (!parsed.ok || parsed.value < 0) return err(`-recheck=${text}: durations such as 1s,5s,30s, or none`);
    delays.push(Math.round(parsed.value / 1e6));
  }
  if (delays.some((delay, at) => at > 0 && delay <= (delays[at - 1] ?? 0))) {
    return err(`-recheck=${text}: each must be longer than the one before`);
  }
  return ok(delays);
}

function firstSet(...values: readonly (string | undefined)[]): string | undefined {
  return values.find((value) => value !== undefined && value !== '');
}

function fileSetting(name: 'ca' | 'cert' | 'key', path: string | undefined): TlsSettings {
  return path === undefined || path === '' ? {} : { [name]: readFileSync(path, 'utf8') };
}
