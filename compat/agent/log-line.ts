import { renderJson } from '../wire/go-json.ts';
import type { LogLine } from './port.ts';

/** `2026-11-22T16:19:52.031Z [INFO]  agent: Synced service: service=web`, as Consul prints its log. */
export function monitorText({ level, timeMs, name, message, fields }: LogLine): string {
  const label = `[${level.toUpperCase()}]`.padEnd(7);
  const tail = Object.entries(fields)
    .map(([key, value]) => ` ${key}=${fieldText(typeof value === 'string' ? value : renderJson(value))}`)
    .join('');
  const text = message.replaceAll(/[\r\n]+/g, ' ');
  return `${new Date(timeMs).toISOString()} ${label} ${name}: ${text}${tail === '' ? '' : `:${tail}`}`;
}

function fieldText(value: string): string {
  return /[\s"=]|^$/.test(value) ? JSON.stringify(value) : value;
}

/** The same line as Consul's logger has it in JSON. */
export function monitorJson({ level, timeMs, name, message, fields }: LogLine): string {
  return renderJson({
    '@level': level,
    '@message': message,
    '@module': name,
    '@timestamp': new Date(timeMs).toISOString().replace('Z', '000Z'),
    ...fields,
  });
}
