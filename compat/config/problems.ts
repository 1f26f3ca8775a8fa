/** Something that is wrong with the configuration and stops the start. */
export interface ConfigProblem {
  /** The key, dotted (`ports.http`); undefined when the file as a whole cannot be read. */
  readonly key?: string;
  /** What is wrong, with Consul's words first where Consul has words for it. */
  readonly message: string;
  /** The file or flags it came from, when it is known. */
  readonly source?: string;
}

/**
 * The text shown for these problems: one on a line of its own, several as the list that Consul prints
 * (`2 errors occurred:` and a tab, a star and a space before each).
 */
export function renderProblems(problems: readonly ConfigProblem[]): string {
  const texts = [...new Set(problems.map((problem) => problem.message))];
  if (texts.length === 1) return texts[0] ?? '';
  return `${texts.length} errors occurred:\n${texts.map((text) => `\t* ${text}`).join('\n')}\n`;
}

/** A value as a person wrote it, short enough for a message. */
export function showValue(value: unknown): string {
  const shown = JSON.stringify(value) ?? String(value);
  return shown.length > 80 ? `${shown.slice(0, 77)}...` : shown;
}
