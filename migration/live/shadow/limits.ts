/** Bounds and shares of shadow work. All of them guesses that keep it small beside what clients do. */
export const shadowLimits = {
  recheckDelaysMs: [1_000, 5_000, 30_000],
  /** Of compared reads, in percent. */
  noisePercent: 1,
  agreementPercent: 5,
  /** Of keys, in percent. */
  linearizablePercent: 1,
  visibilityPercent: 100,
  concurrencyMax: 4,
  queueMax: 1_000,
  /** Answers longer than this are not compared; the drop is counted. */
  answerBytesMax: 512 * 1024,
  /** Differences that are open at once; more are given up as indeterminate. */
  suspectsMax: 1_000,
  /** Lasting differences that are looked at again at 1, 5 and 10 minutes. */
  followedMax: 200,
  /** Writes whose way to the other gateways is watched at once. */
  watchedMax: 512,
  persistEveryMs: 30_000,
} as const;
