import { err, ok, type Result } from '../../src/kernel/result.ts';

const uint64Max = 0xffff_ffff_ffff_ffffn;

/** Go's `strconv.ParseUint(text, 10, 64)`, with its error text, which Consul passes on with status 500. */
export function parseUint64(text: string): Result<bigint, string> {
  if (!/^\d+$/.test(text)) return err(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  const value = BigInt(text);
  if (value > uint64Max) return err(`strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`);
  return ok(value);
}

/** Go's `strconv.ParseBool`: undefined for what it does not accept. */
export function parseGoBool(text: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  return undefined;
}
