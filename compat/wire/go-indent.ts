/**
 * Indents compact JSON text as Go's `json.MarshalIndent` with four spaces, and ends it with a newline: what
 * `?pretty` asks for. It works on the text, so that neither large numbers nor the order of fields suffer.
 */
export function indentJson(compact: string): string {
  const parts: string[] = [];
  let depth = 0;
  let from = 0;
  const breakLine = (): void => void parts.push('\n', '    '.repeat(depth));
  for (let i = 0; i < compact.length; i++) {
    const char = compact[i];
    if (char === '"') {
      i = endOfString(compact, i);
    } else if (char === '{' || char === '[') {
      const close = compact[i + 1];
      if (close === '}' || close === ']') {
        i += 1;
        continue;
      }
      depth += 1;
      parts.push(compact.slice(from, i + 1));
      from = i + 1;
      breakLine();
    } else if (char === ',') {
      parts.push(compact.slice(from, i + 1));
      from = i + 1;
      breakLine();
    } else if (char === ':') {
      parts.push(compact.slice(from, i), ': ');
      from = i + 1;
    } else if (char === '}' || char === ']') {
      depth -= 1;
      parts.push(compact.slice(from, i));
      from = i;
      breakLine();
    }
  }
  parts.push(compact.slice(from), '\n');
  return parts.join('');
}

/** Index of the quote that closes the string which opens at `start`. */
function endOfString(text: string, start: number): number {
  for (let i = start + 1; i < text.length; i++) {
    const char = text[i];
    if (char === '\\') i += 1;
    else if (char === '"') return i;
  }
  return text.length;
}
