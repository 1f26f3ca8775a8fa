/** What is read of a migration over HTTP. */
export type MigrationQuestion = 'status' | 'gates' | 'plan' | 'quarantine' | 'report' | 'samples';

/** What an operator orders. */
export type MigrationOrder =
  | 'step'
  | 'pause'
  | 'resume'
  | 'breaker'
  | 'panic'
  | 'verify'
  | 'repair'
  | 'rehearse'
  | 'quarantine-drop'
  | 'accept-source';

/** A JSON body, or for a status of 400 and more a line for people. */
export interface MigrationAnswer {
  readonly status: number;
  readonly body: unknown;
}

/** The migration of the fleet as the routes see it: what is asked for is validated behind it. */
export interface MigrationPort {
  ask(what: MigrationQuestion, query: Readonly<Record<string, string>>): Promise<MigrationAnswer>;
  order(what: MigrationOrder, body: unknown): Promise<MigrationAnswer>;
}
