/** Collects the topics (see `topic`) that a result depends on while it is evaluated. */
export interface Dependencies {
  add(topic: string): unknown;
}
