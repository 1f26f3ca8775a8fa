import { err, ok, type Result } from '../../src/kernel/result.ts';

/** Go's `strconv.ParseUint(text, 10, 64)`, with its error text, which Consul passes on with status 500. */
export function parseUint64(text: string): Result<bigint, string> {
  return parseGoUint(text, 64);
}

/** Go's `strconv.ParseUint(text, 10, bits)`, with its error text. */
export function parseGoUint(text: string, bits: number): Result<bigint, string> {
  if (!/^\d+$/.test(text)) return err(`strconv.ParseUint: parsing ${JSON.stringify(text)}: invalid syntax`);
  const value = BigInt(text);
  if (value >> BigInt(bits) > 0n)
    return err(`strconv.ParseUint: parsing ${JSON.stringify(text)}: value out of range`);
  return ok(value);
}

/** Go's `strconv.ParseBool`: undefined for what it does not accept. */
export function parseGoBool(text: string): boolean | undefined {
  if (['1', 't', 'T', 'TRUE', 'true', 'True'].includes(text)) return true;
  if (['0', 'f', 'F', 'FALSE', 'false', 'False'].includes(text)) return false;
  return undefined;
}
