/** The clocks of the sessions that were created here. */
export interface SessionClocks {
  /** Gives a session its whole time again; false when it has no TTL, or when it has just expired. */
  renew(id: string): boolean;
}
