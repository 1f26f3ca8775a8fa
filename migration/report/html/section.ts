import { html, type Child, type Markup } from './markup.ts';

export function section(id: string, title: string, body: Child): Markup {
  return html`<section id="${id}">
    <h2>${title}</h2>
    ${body}
  </section>`;
}
