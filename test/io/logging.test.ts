import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { Logging, type LoggingOptions } from '../../src/io/logging.ts';
import type { LogLine } from '../../src/kernel/log-line.ts';

let dir: string;
let printed: string[];

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'grapevine-test-log-'));
  printed = [];
  jest.spyOn(process.stdout, 'write').mockImplementation((text) => {
    printed.push(String(text));
    return true;
  });
});

afterEach(() => {
  jest.restoreAllMocks();
  rmSync(dir, { recursive: true, force: true });
});

function open(options: Partial<LoggingOptions> = {}): Promise<Logging> {
  const defaults: LoggingOptions = {
    level: 'info',
    json: false,
    file: undefined,
    rotateMs: 86_400_000,
    rotateBytes: 0,
    rotateFilesMax: 0,
  };
  return Logging.open({ ...defaults, ...options });
}

describe('the log', () => {
  test('prints what is of its level, by part, with facts', async () => {
    const { log } = await open();
    log.child({ name: 'http' }).info({ port: 8500 }, 'listening');
    log.debug('hidden');
    log.error({ err: new Error('why') }, 'failed');
    expect(printed.map((line) => line.slice(25))).toEqual([
      '[INFO]  http: listening: port=8500\n',
      '[ERROR] agent: failed: error=why\n',
    ]);
  });

  test('prints JSON where it is told to', async () => {
    const { log } = await open({ json: true });
    log.warn({ a: [1] }, 'm');
    expect(JSON.parse(printed[0] ?? '')).toMatchObject({ '@level': 'warn', '@message': 'm', a: '[1]' });
  });

  test('shows watchers lines of a lower level, as long as they watch', async () => {
    const logging = await open({ level: 'warn' });
    const lines: LogLine[] = [];
    const stop = logging.subscribe('debug', (line) => void lines.push(line));
    logging.log.debug('one');
    stop();
    logging.log.debug('two');
    expect(lines.map(({ message }) => message)).toEqual(['one']);
    expect(printed).toEqual([]);
  });

  test('changes its level while it runs', async () => {
    const logging = await open();
    logging.level = 'error';
    logging.log.info('hidden');
    expect(printed).toEqual([]);
  });
});

describe('the log file', () => {
  test('has every line once the log is closed, in a directory that is made', async () => {
    const logging = await open({ file: join(dir, 'new', 'logs/') });
    logging.log.info('first');
    logging.log.info('last');
    await logging.close();
    const text = readFileSync(join(dir, 'new', 'logs', 'grapevine.log'), 'utf8');
    expect(text).toBe(printed.join(''));
    expect(text).toMatch(/last\n$/);
  });

  test('that cannot be written is a problem that names it', async () => {
    writeFileSync(join(dir, 'file'), '');
    const path = join(dir, 'file', 'x.log');
    await expect(open({ file: path })).rejects.toThrow(`log_file ${JSON.stringify(path)} cannot be written`);
    expect(existsSync(path)).toBe(false);
  });
});
