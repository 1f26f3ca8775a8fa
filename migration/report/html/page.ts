import { createHash } from 'node:crypto';
import { escapeMarkup, html, visible, type Child } from './markup.ts';
import { script } from './script.ts';
import { style } from './style.ts';

/**
 * A whole page. The policy forbids everything but this style and this script by their hashes: what slips through
 * escaping does not run, and nothing is fetched.
 */
export function page(title: string, body: Child): string {
  const policy = [
    "default-src 'none'",
    `style-src '${hashOf(style)}'`,
    `script-src '${hashOf(script)}'`,
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  // Not a tagged template: style and script must stand exactly as they were hashed.
  return [
    '<!doctype html>',
    '<html lang="en"><head><meta charset="utf-8">',
    `<meta http-equiv="Content-Security-Policy" content="${escapeMarkup(policy)}">`,
    '<meta name="viewport" content="width=device-width, initial-scale=1">',
    '<meta name="color-scheme" content="light dark">',
    `<title>${escapeMarkup(visible(title))}</title>`,
    `<style>${style}</style></head>`,
    `<body><main>${html`${body}`.toString()}</main>`,
    `<script>${script}</script></body></html>`,
    '',
  ].join('\n');
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text).digest('base64')}`;
}
