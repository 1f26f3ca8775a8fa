import { err, ok, type Result } from '../../src/kernel/result.ts';

/** As Go's `base64.StdEncoding` decodes: padded, line breaks ignored, and the error names where it stopped. */
export function decodeGoBase64(text: string): Result<Uint8Array, string> {
  if (standard.test(text) && text.length % 4 === 0) return ok(Buffer.from(text, 'base64'));
  const stripped = text.replaceAll(/[\r\n]/g, '');
  if (standard.test(stripped) && stripped.length % 4 === 0) return ok(Buffer.from(stripped, 'base64'));
  return err(`illegal base64 data at input byte ${corruptAt(text)}`);
}

const standard = /^[A-Za-z0-9+/]*={0,2}$/;

/** The offset that Go reports: of the stranger, or of the start of an incomplete last group of four. */
function corruptAt(text: string): number {
  const bytes = Buffer.from(text);
  let inGroup = 0;
  let groupStart = 0;
  for (let at = 0; at < bytes.length; at++) {
    const char = String.fromCharCode(bytes[at] as number);
    if (char === '\n' || char === '\r') continue;
    if (inGroup === 0) groupStart = at;
    if (/[A-Za-z0-9+/]/.test(char)) {
      inGroup = (inGroup + 1) % 4;
      continue;
    }
    if (char !== '=' || inGroup < 2) return at;
    return paddingProblem(bytes, at, inGroup);
  }
  return groupStart;
}

/** Padding that begins at `at`: a second sign may be missing, and nothing may follow. */
function paddingProblem(bytes: Uint8Array, at: number, inGroup: number): number {
  let next = skipBreaks(bytes, at + 1);
  if (inGroup === 2) {
    if (next >= bytes.length) return bytes.length;
    if (bytes[next] !== 0x3d) return next - 1;
    next = skipBreaks(bytes, next + 1);
  }
  return next;
}

function skipBreaks(bytes: Uint8Array, from: number): number {
  let at = from;
  while (bytes[at] === 0x0a || bytes[at] === 0x0d) at += 1;
  return at;
}
