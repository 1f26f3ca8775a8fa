import { createHash } from 'node:crypto';
import { html, type Child, type Markup } from './markup.ts';
import { script } from './script.ts';
import { style } from './style.ts';

/**
 * A whole page. The policy forbids everything but this style and this script by their hashes: what slips through
 * escaping does not run, and nothing is fetched.
 */
export function page(title: string, body: Child): string {
  const policy = `default-src 'none'; style-src '${hashOf(style)}'; script-src '${hashOf(script)}'; base-uri 'none'; form-action 'none'`;
  const document = html`<html lang="en">
    <head>
      <meta charset="utf-8" />
      <meta http-equiv="Content-Security-Policy" content="${policy}" />
      <meta name="viewport" content="width=device-width, initial-scale=1" />
      <meta name="color-scheme" content="light dark" />
      <title>${title}</title>
      <style>
        ${own(style)}
      </style>
    </head>
    <body>
      <main>${body}</main>
      <script>
        ${own(script)};
      </script>
    </body>
  </html>`;
  return `<!doctype html>\n${document.toString()}\n`;
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}

/** Text of this program, which is markup as it stands. */
function own(text: string): Markup {
  return html(Object.assign([text], { raw: [text] }));
}
