/** A key as its list has it, with the value still in base64: most are the same as in the answer before. */
export type RawEntry = {
  readonly key: string;
  readonly text: string;
  readonly flags: bigint;
  readonly session: string;
  readonly lockIndex: number;
  readonly createIndex: number;
  readonly modifyIndex: number;
};
