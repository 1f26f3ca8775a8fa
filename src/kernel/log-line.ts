export type LogLevel = 'trace' | 'debug' | 'info' | 'warn' | 'error';

/** One line of the log. */
export interface LogLine {
  readonly level: LogLevel;
  /** RFC 3339 in UTC, to the millisecond: `2026-11-22T15:54:50.865Z`. */
  readonly time: string;
  /** The part that speaks: `agent`, `http`, `store`, … */
  readonly name: string;
  readonly message: string;
  /** Further facts, in order. */
  readonly fields: Readonly<Record<string, string | number | boolean | null>>;
}

/** As Consul's log reads, without the end of the line: `2026-11-22T15:54:50.865Z [INFO]  agent: started: port=8500`. */
export function renderLogText({ level, time, name, message, fields }: LogLine): string {
  const facts = Object.entries(fields).map(([key, value]) => `${key}=${quoted(value)}`);
  const text = message.replaceAll(/[\r\n]+/g, ' ');
  const tail = facts.length === 0 ? '' : `: ${facts.join(' ')}`;
  return `${time} ${`[${level.toUpperCase()}]`.padEnd(7)} ${name}: ${text}${tail}`;
}

function quoted(value: string | number | boolean | null): string {
  return typeof value === 'string' && /[\s"=]|^$/.test(value) ? JSON.stringify(value) : String(value);
}

/** As Consul's `-log-json` (hclog): names of its own fields start with `@`, the time goes to the microsecond. */
export function renderLogJson({ level, time, name, message, fields }: LogLine): string {
  const own = {
    '@level': level,
    '@message': message,
    '@module': name,
    '@timestamp': time.replace('Z', '000Z'),
  };
  return JSON.stringify({ ...own, ...fields });
}
