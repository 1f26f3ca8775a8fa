import { count } from '../../terminal/format.ts';
import { lowerOf, upperOf } from '../gates.ts';
import type { Gate, Report, ReportQuantiles, ReportRate } from '../model.ts';
import { hitsText, msText, rateText, shortCount } from '../numbers.ts';
import { html, type Child, type Markup } from './markup.ts';

export type Column<T> = {
  readonly head: Child;
  readonly cell: (row: T) => Child;
  /** Numbers stand to the right. */
  readonly isNumber?: boolean;
  readonly heat?: (row: T) => number;
  readonly className?: string;
};

export function table<T>(
  rows: readonly T[],
  columns: readonly Column<T>[],
  options: { readonly id?: string; readonly item?: (row: T) => string } = {},
): Markup {
  const kind = (column: Column<T>, row?: T): string => {
    const heat = row === undefined ? 0 : (column.heat?.(row) ?? 0);
    return [column.isNumber === true ? 'n' : '', column.className ?? '', heat > 0 ? `heat-${heat}` : '']
      .filter(Boolean)
      .join(' ');
  };
  return html`<div class="scroll"><table${options.id !== undefined && html` id="${options.id}"`}><thead><tr>${columns.map((column) => html`<th class="${kind(column)}" scope="col">${column.head}</th>`)}</tr></thead><tbody>${rows.map((row) => html`<tr${options.item !== undefined && html` data-item="${options.item(row)}"`}>${columns.map((column) => html`<td class="${kind(column, row)}">${column.cell(row)}</td>`)}</tr>`)}</tbody></table></div>`;
}

export function chip(state: string, text = state): Markup {
  return html`<span class="chip ${state.replaceAll(/[^a-z-]/g, '')}">${text}</span>`;
}

export function tools(id: string, what: string, choices: readonly string[] = []): Markup {
  return html`<div class="tools" data-for="${id}">
    <input type="search" placeholder="Find in ${what}" aria-label="Find in ${what}" />${
      choices.length > 1 &&
      html`<select aria-label="Only">
        <option value="">all</option>
        ${choices.map((choice) => html`<option>${choice}</option>`)}
      </select>`
    }<output class="hint"></output>
  </div>`;
}

/** Text in which commands stand in backticks. */
export function prose(text: string): readonly Child[] {
  return text.split('`').map((part, at) => (at % 2 === 1 ? html`<code>${part}</code>` : part));
}

export function gatesTable(gates: readonly Gate[]): Markup {
  const order = { red: 0, unknown: 1, green: 2, off: 3 };
  const words = { red: '✕ red', unknown: '? unknown', green: '✓ green', off: '– off' };
  return table(
    gates.toSorted((a, b) => order[a.state] - order[b.state]),
    [
      { head: 'State', cell: (gate) => chip(gate.state, words[gate.state]) },
      {
        head: 'Gate',
        cell: (gate) => html`${gate.title} <span class="hint mono nowrap">${gate.name}</span>`,
      },
      {
        head: 'Observed',
        cell: (gate) =>
          html`${gate.observed}${gate.why !== '' && html`<br /><span class="hint">${prose(gate.why)}</span>`}`,
      },
      { head: 'Asked', cell: (gate) => gate.limit },
    ],
  );
}

/** 0 for none; one step for each power of ten from a millionth on. */
function heatOf(part: number, of: number): number {
  if (part === 0 || of === 0) return 0;
  return Math.max(1, Math.min(5, Math.floor(Math.log10(part / of)) + 6));
}

type CountedRow = Pick<
  Report['totals'],
  | 'compared'
  | 'transient'
  | 'persistent'
  | 'open'
  | 'unchecked'
  | 'indeterminate'
  | 'byKind'
  | 'transientByKind'
>;

/** Columns of what differed, one for each kind that occurs: stayed + cleared, coloured by share. */
export function kindColumns<T extends CountedRow>(rows: readonly T[]): readonly Column<T>[] {
  const kinds = new Set(
    rows.flatMap((row) => [...Object.keys(row.byKind), ...Object.keys(row.transientByKind ?? {})]),
  );
  const stayed = (row: T, kind: string): number => row.byKind[kind] ?? 0;
  const cleared = (row: T, kind: string): number => row.transientByKind?.[kind] ?? 0;
  const held = [...kinds].filter((kind) => rows.some((row) => stayed(row, kind) + cleared(row, kind) > 0));
  return held.map((kind) => ({
    head: kind,
    isNumber: true,
    heat: (row) => heatOf(stayed(row, kind) + cleared(row, kind) / 10, row.compared),
    cell: (row) => {
      const [a, b] = [stayed(row, kind), cleared(row, kind)];
      if (a + b === 0) return html`<span class="hint">·</span>`;
      return a === 0
        ? html`<span class="hint">${count(b)}</span>`
        : html`<b>${count(a)}</b> <span class="hint">${count(b)}</span>`;
    },
  }));
}

export function boundText(rate: ReportRate, compared: number): string {
  if (compared === 0) return 'unknown';
  const [low, high] = [lowerOf(rate), upperOf(rate)];
  return (rate.hits ?? (rate.value > 0 ? 1 : 0)) === 0
    ? `< ${rateText(high)}`
    : `${rateText(low)} – ${rateText(high)}`;
}

export function rateCell(rate: ReportRate): string {
  return hitsText(rate.hits ?? 0, rate.of ?? 0, lowerOf(rate), upperOf(rate));
}

export function quantileText(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : msText(value);
}

export function latencyColumns<
  T extends {
    readonly latency?: { readonly source: ReportQuantiles; readonly target: ReportQuantiles } | undefined;
  },
>(): readonly Column<T>[] {
  const both = (of: 'p50' | 'p99'): Column<T> => ({
    head: html`${of} source<br />${of} gateway`,
    isNumber: true,
    cell: (row) =>
      html`${quantileText(row.latency?.source[of])}<br />${quantileText(row.latency?.target[of])}`,
  });
  return [both('p50'), both('p99')];
}

export function comparedColumn<T extends { readonly compared: number }>(): Column<T> {
  return { head: 'compared', isNumber: true, cell: (row) => shortCount(row.compared) };
}
