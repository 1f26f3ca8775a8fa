import { accessSync, constants, mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { pino, type Logger } from 'pino';
import type { RotatingFileStream } from 'rotating-file-stream';
import { StartProblem } from '../kernel/start-problem.ts';
import { renderLogJson, renderLogText, type LogLevel, type LogLine } from '../kernel/log-line.ts';

/** A structured logger: `log.info({ key: 'value' }, 'what happened')`. Children carry the part's `name`. */
export type Log = Logger;

export interface LoggingOptions {
  readonly level: LogLevel;
  readonly json: boolean;
  /** A path, or a directory when it ends in a slash. */
  readonly file: string | undefined;
  readonly rotateMs: number;
  readonly rotateBytes: number;
  /** 0: keep all, -1: keep none. */
  readonly rotateFilesMax: number;
}

const levels: readonly LogLevel[] = ['trace', 'debug', 'info', 'warn', 'error'];

/** pino's numbers: 10 to 60 in tens. */
function levelOf(number: number): LogLevel {
  return levels[Math.min(Math.max(Math.floor(number / 10) - 1, 0), levels.length - 1)] as LogLevel;
}

interface Subscriber {
  readonly level: LogLevel;
  readonly line: (line: LogLine) => void;
}

/** Where the log of a process goes: standard output, a file, and whoever watches it over HTTP. */
export class Logging {
  readonly log: Log;
  readonly #json: boolean;
  #level: LogLevel;
  readonly #subscribers = new Set<Subscriber>();
  #file: RotatingFileStream | undefined;

  private constructor(options: LoggingOptions) {
    this.#json = options.json;
    this.#level = options.level;
    this.log = pino({ level: options.level, base: null }, { write: (text: string) => this.#write(text) });
  }

  /** @throws StartProblem when the file cannot be written */
  static async open(options: LoggingOptions): Promise<Logging> {
    const logging = new Logging(options);
    if (options.file !== undefined) logging.#file = await openFile(options, options.file);
    return logging;
  }

  /** Resolves when the file has all that was logged. */
  async close(): Promise<void> {
    const file = this.#file;
    if (file === undefined) return;
    this.#file = undefined;
    await new Promise<void>((resolve) => file.end(() => resolve()));
  }

  get level(): LogLevel {
    return this.#level;
  }

  set level(level: LogLevel) {
    this.#level = level;
    this.#adjust();
  }

  /** Calls `line` with each line of at least this level from now on; the answer ends it. */
  subscribe(level: LogLevel, line: (line: LogLine) => void): () => void {
    const subscriber = { level, line };
    this.#subscribers.add(subscriber);
    this.#adjust();
    return () => {
      this.#subscribers.delete(subscriber);
      this.#adjust();
    };
  }

  /** What is not needed by anybody is not even rendered. */
  #adjust(): void {
    const wanted = [this.#level, ...[...this.#subscribers].map((subscriber) => subscriber.level)];
    this.log.level = levels.find((level) => wanted.includes(level)) ?? this.#level;
  }

  #write(text: string): void {
    const line = parseLine(text);
    if (isAtLeast(line.level, this.#level)) {
      const rendered = `${this.#json ? renderLogJson(line) : renderLogText(line)}\n`;
      process.stdout.write(rendered);
      this.#file?.write(rendered);
    }
    for (const subscriber of this.#subscribers) {
      if (isAtLeast(line.level, subscriber.level)) subscriber.line(line);
    }
  }
}

function isAtLeast(level: LogLevel, floor: LogLevel): boolean {
  return levels.indexOf(level) >= levels.indexOf(floor);
}

function parseLine(text: string): LogLine {
  const { level, time, name, msg, err, ...rest } = JSON.parse(text) as Record<string, unknown>;
  const fields: Record<string, string | number | boolean | null> = {};
  for (const [key, value] of Object.entries(rest)) fields[key] = scalar(value);
  if (err !== undefined) fields['error'] = scalar((err as { message?: unknown }).message ?? err);
  return {
    level: levelOf(Number(level)),
    time: new Date(Number(time)).toISOString(),
    name: typeof name === 'string' ? name : 'agent',
    message: typeof msg === 'string' ? msg : '',
    fields,
  };
}

function scalar(value: unknown): string | number | boolean | null {
  if (
    value === null ||
    typeof value === 'string' ||
    typeof value === 'number' ||
    typeof value === 'boolean'
  ) {
    return value;
  }
  return JSON.stringify(value) ?? null;
}

async function openFile(options: LoggingOptions, file: string): Promise<RotatingFileStream> {
  const { createStream } = await import('rotating-file-stream');
  const path = file.endsWith('/') ? join(file, 'grapevine.log') : file;
  const problem = (error: unknown): StartProblem =>
    new StartProblem(`log_file ${JSON.stringify(path)} cannot be written: ${(error as Error).message}`);
  try {
    mkdirSync(dirname(path), { recursive: true });
    accessSync(dirname(path), constants.W_OK);
  } catch (error) {
    throw problem(error);
  }
  // The library rotates at whole hours or days: the nearer of the two that is not longer than asked for.
  const shared = {
    path: dirname(path),
    ...(options.rotateBytes > 0 ? { size: `${options.rotateBytes}B` as const } : {}),
    ...(options.rotateFilesMax > 0 ? { maxFiles: options.rotateFilesMax } : {}),
  };
  const stream =
    options.rotateMs < 24 * 3_600_000
      ? createStream(basename(path), { ...shared, interval: '1h' })
      : createStream(basename(path), { ...shared, interval: '1d' });
  await new Promise<void>((resolve, reject) => {
    stream.once('open', () => resolve());
    stream.once('error', (error) => {
      stream.destroy();
      reject(problem(error));
    });
  });
  // A disk that fills up must not end the gateway: its log goes on, on standard output.
  stream.on('error', () => undefined);
  return stream;
}
