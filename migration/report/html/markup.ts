/**
 * Text that is markup already. Only `html` makes it, so that nothing from a report's file can pass for it: keys, values
 * and reasons are whatever a client wrote.
 */
export class Markup {
  readonly #text: string;

  constructor(parts: TemplateStringsArray, children: readonly Child[]) {
    let text = parts[0] ?? '';
    for (const [at, child] of children.entries()) text += render(child) + (parts[at + 1] ?? '');
    this.#text = text;
  }

  toString(): string {
    return this.#text;
  }
}

export type Child = Markup | string | number | null | undefined | false | readonly Child[];

/** A tagged template: what stands in the braces is escaped for text and for quoted attributes. */
export function html(parts: TemplateStringsArray, ...children: readonly Child[]): Markup {
  return new Markup(parts, children);
}

function render(child: Child): string {
  if (child === null || child === undefined || child === false) return '';
  if (child instanceof Markup) return child.toString();
  if (typeof child === 'object') return child.map(render).join('');
  return escapeMarkup(typeof child === 'number' ? String(child) : visible(child));
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escapeMarkup(text: string): string {
  return text.replace(/[&<>"']/g, (char) => entities[char] ?? char);
}

/** Control characters and those that turn the direction of text, as escapes that can be seen. */
export function visible(text: string): string {
  return text.replace(
    // eslint-disable-next-line no-control-regex
    /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufffe\uffff]|[\ud800-\udbff](?![\udc00-\udfff])|(?<![\ud800-\udbff])[\udc00-\udfff]/g,
    (char) => `\\u${(char.codePointAt(0) ?? 0).toString(16).padStart(4, '0')}`,
  );
}
