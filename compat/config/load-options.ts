import type { Fragment } from './config-schema.ts';
import type { ConfigFormat } from './config-sources.ts';

/** What the command line says about where the configuration comes from. */
export interface LoadOptions {
  readonly devMode: boolean;
  /** What `-config-file` and `-config-dir` named, in order. */
  readonly paths: readonly string[];
  /** Forces one format for all files; unset: by extension. */
  readonly format?: ConfigFormat | undefined;
  /** Texts of `-hcl`, which win over everything else. */
  readonly hcl: readonly string[];
  /** The other flags, by the configuration key that each stands for. */
  readonly flags: Fragment;
}

export const noOptions: LoadOptions = { devMode: false, paths: [], hcl: [], flags: {} };
