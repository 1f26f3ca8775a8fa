/** The clocks of sessions: each runs on the gateway where the session was created. */
export interface SessionClocks {
  /**
   * Gives a session its whole time again; false when it has no TTL, or when it has just expired. A promise where
   * another gateway made it, rejected when that one cannot be reached.
   */
  renew(id: string): boolean | Promise<boolean>;
}
