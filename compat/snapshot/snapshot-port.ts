/** How a restore ended; nothing was changed unless it says so. */
export type RestoreResult =
  | {
      readonly kind: 'restored';
      readonly written: number;
      readonly deleted: number;
      readonly unchanged: number;
    }
  | { readonly kind: 'refused'; readonly message: string };

/** A consistent copy of the gateway's state, packed as Consul packs its own. */
export interface SnapshotPort {
  /**
   * Makes the copy, then answers its archive as a stream of bytes. Temporary files go when the stream ends, however
   * it ends; the stream must be read or returned.
   */
  save(): Promise<AsyncIterable<Uint8Array>>;
  /** Reads and verifies the whole archive before anything is replaced. */
  restore(archive: AsyncIterable<Uint8Array>): Promise<RestoreResult>;
}
