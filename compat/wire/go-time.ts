/** A time as Go writes it (RFC 3339 in UTC), in whole seconds. */
export function goTime(epochMs: number): string {
  // oxlint-disable-next-line eslint/no-restricted-globals -- writes a time that was given; reads no clock
  return new Date(epochMs).toISOString().replace(/\.\d+Z$/, 'Z');
}

/** The same with milliseconds. */
export function goTimeMs(epochMs: number): string {
  // oxlint-disable-next-line eslint/no-restricted-globals -- writes a time that was given; reads no clock
  return new Date(epochMs).toISOString();
}
