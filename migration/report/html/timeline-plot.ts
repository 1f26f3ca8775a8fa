import { scaleLinear, scaleUtc } from 'd3-scale';
import { area, curveStepAfter } from 'd3-shape';
import { count } from '../../terminal/format.ts';
import type { Report } from '../model.ts';
import { msText, rateText, shortCount } from '../numbers.ts';
import { axisY, fixed, svg, type Frame } from './charts.ts';
import { html, type Markup } from './markup.ts';

type Row = NonNullable<Report['timeline']>[number];

interface Bin {
  compared: number;
  transient: number;
  persistent: number;
  violations: number;
  stalenessMsMax: number;
}

const binsMax = 160;
const rulesMax = 8;
/** Pixels: as wide as a label of two numbers. */
const apart = 44;
const marksMax = 24;

/** What differed over time, below it how much was compared, above it the phases; faults and steps as lines across. */
export function timelinePlot(report: Report): Markup {
  const rows = report.timeline ?? [];
  if (rows.length === 0) return html`<p class="nothing">Nothing was compared over time.</p>`;
  const start = Math.min(...rows.map((row) => Date.parse(row.at)));
  const end = Math.max(
    Date.parse(report.run.finishedAt),
    ...rows.map((row) => Date.parse(row.at) + row.widthMs),
  );
  const narrowest = Math.min(...rows.map((row) => row.widthMs));
  const size = Math.min(binsMax, Math.max(1, Math.ceil((end - start) / Math.max(1, narrowest))));
  const widthMs = (end - start) / size;
  const bins = binsOf(rows, start, widthMs, size);
  const phases = phaseBands(rows).slice(0, rulesMax);
  const top = 14 + phases.length * 20;
  const frame: Frame = { width: 960, height: top + 330, left: 62, right: 16, top, bottom: 26 };
  const x = scaleUtc([new Date(start), new Date(end)], [frame.left, frame.width - frame.right]);
  const [rate, load, stale] = [
    { from: top + 150, to: top + 6 },
    { from: top + 222, to: top + 172 },
    { from: top + 302, to: top + 244 },
  ];
  const share = (bin: Bin, of: number): number => (bin.compared === 0 ? 0 : of / bin.compared);
  const worst = Math.max(1e-5, ...bins.map((bin) => share(bin, bin.transient + bin.persistent)));
  const yRate = scaleLinear([0, worst], [rate.from, rate.to]).nice(4);
  const most = Math.max(1, ...bins.map((bin) => bin.compared));
  const yLoad = scaleLinear([0, most], [load.from, load.to]);
  const stalest = Math.max(1, ...bins.map((bin) => bin.stalenessMsMax));
  const yStale = scaleLinear([0, stalest], [stale.from, stale.to]);
  const at = (index: number): number => x(new Date(start + index * widthMs));
  const bars = (cls: string, low: (bin: Bin) => number, high: (bin: Bin) => number): readonly Markup[] =>
    bins.flatMap((bin, index) => {
      const [y0, y1] = [yRate(share(bin, low(bin))), yRate(share(bin, high(bin)))];
      if (y0 - y1 < 0.05) return [];
      return [
        html`<rect
          class="bar ${cls}"
          x="${fixed(at(index))}"
          y="${fixed(y1)}"
          width="${fixed(Math.max(1, at(index + 1) - at(index) - 0.6))}"
          height="${fixed(Math.max(1, y0 - y1))}"
          ><title>${binText(bin, start + index * widthMs)}</title></rect
        >`,
      ];
    });
  const shape = (y: (value: number) => number, zero: number, of: (bin: Bin) => number): string =>
    area<readonly [number, number]>(
      (point) => at(point[0]),
      zero,
      (point) => y(point[1]),
    )
      .curve(curveStepAfter)
      .digits(1)([
      ...bins.map((bin, index) => [index, of(bin)] as const),
      [size, of(bins.at(-1) ?? emptyBin())],
    ]) ?? '';
  const marks = (report.marks ?? [])
    .filter((mark) => Date.parse(mark.at) >= start && Date.parse(mark.at) <= end)
    .slice(-marksMax);
  const bottom = frame.height - frame.bottom;
  const plot = svg(frame, 'Differences over time', 'Bars: share of comparisons that differed, by time', [
    html`<g class="axis"
      >${x
        .ticks(8)
        .map(
          (tick) =>
            html`<path class="grid" d="M${fixed(x(tick))},${top}V${bottom}" /><text
                x="${fixed(x(tick))}"
                y="${bottom + 16}"
                text-anchor="middle"
                >${timeText(tick, end - start)}</text
              >`,
        )}</g
    >`,
    ...phases.map(({ name, spans }, row) => {
      const y = 10 + row * 20;
      return html`<g class="phases"
        >${spans.map((span) => {
          const [from, to] = [x(new Date(span.from)), x(new Date(span.to))];
          const label = `${name}: ${span.phase}`;
          return html`<rect
              class="phase phase-${phaseLook(span.phase)}"
              x="${fixed(from)}"
              y="${y}"
              width="${fixed(Math.max(1, to - from))}"
              height="16"
              ><title>${label}</title></rect
            >${to - from > label.length * 6.4 && html`<text x="${fixed(from + 5)}" y="${y + 12}">${label}</text>`}`;
        })}</g
      >`;
    }),
    axisY(
      { ...frame, top: rate.to, bottom: frame.height - rate.from },
      yRate.ticks(4).map((tick) => [yRate(tick), rateText(tick)] as const),
      'differed',
    ),
    html`${bars(
      'transient',
      () => 0,
      (bin) => bin.transient,
    )}`,
    html`${bars(
      'persistent',
      (bin) => bin.transient,
      (bin) => bin.transient + bin.persistent,
    )}`,
    axisY(
      { ...frame, top: load.to, bottom: frame.height - load.from },
      [
        [yLoad(0), '0'],
        [yLoad(most), shortCount(most)],
      ],
      'reads',
    ),
    html`<path class="fill look-1" d="${shape(yLoad, load.from, (bin) => bin.compared)}" />`,
    axisY(
      { ...frame, top: stale.to, bottom: frame.height - stale.from },
      [
        [yStale(0), '0'],
        [yStale(stalest), msText(stalest)],
      ],
      'stale',
    ),
    html`<path class="fill look-3" d="${shape(yStale, stale.from, (bin) => bin.stalenessMsMax)}" />`,
    html`<g class="marks"
      >${bunched(marks.map((mark) => x(new Date(Date.parse(mark.at))))).map(({ left, first, last }) => {
        const label = first === last ? String(first + 1) : `${first + 1}–${last + 1}`;
        const width = 10 + label.length * 6.6;
        const said = marks.slice(first, last + 1).map(({ what, detail }) => `${what}: ${detail}`);
        return html`<path class="mark-line" d="M${fixed(left)},${top}V${bottom}"
            ><title>${said.join('\n')}</title></path
          ><rect
            class="mark-dot"
            x="${fixed(left - width / 2)}"
            y="${fixed(top - 8)}"
            width="${fixed(width)}"
            height="16"
            rx="8"
          /><text class="mark-number" x="${fixed(left)}" y="${fixed(top + 4)}" text-anchor="middle"
            >${label}</text
          >`;
      })}</g
    >`,
  ]);
  const described = `Each bar is ${msText(widthMs)}. Below: compared reads in the same time, and the greatest staleness seen.`;
  return html`${plot}
    <ul class="legend">
      <li><span class="swatch transient"></span>cleared by itself</li>
      <li><span class="swatch persistent"></span>stayed</li>
    </ul>
    <p class="hint">${described} Times are UTC.</p>
    ${
      marks.length > 0 &&
      html`<ol class="marks">
        ${marks.map((mark) => html`<li><time>${shortTime(mark.at)}</time> <b>${mark.what}</b> ${mark.detail} <span class="hint">${mark.gateway}</span></li>`)}
      </ol>`
    }`;
}

/** Marks whose numbers would stand on each other share one line. Places ascend. */
function bunched(
  places: readonly number[],
): readonly { readonly left: number; readonly first: number; readonly last: number }[] {
  const all: { left: number; first: number; last: number }[] = [];
  places.forEach((place, index) => {
    const before = all.at(-1);
    if (before !== undefined && place - before.left < apart) before.last = index;
    else all.push({ left: place, first: index, last: index });
  });
  return all;
}

/** Rows of any width, spread over bins of one width. */
function binsOf(rows: readonly Row[], start: number, widthMs: number, size: number): readonly Bin[] {
  const bins = Array.from({ length: size }, emptyBin);
  for (const row of rows) {
    const from = (Date.parse(row.at) - start) / widthMs;
    const to = from + Math.max(row.widthMs / widthMs, 1e-9);
    for (let index = Math.floor(from); index < Math.min(size, Math.ceil(to)); index++) {
      const bin = bins[index];
      if (bin === undefined) continue;
      const part = (Math.min(to, index + 1) - Math.max(from, index)) / (to - from);
      bin.compared += row.compared * part;
      bin.transient += row.transient * part;
      bin.persistent += row.persistent * part;
      bin.violations += row.violations * part;
      bin.stalenessMsMax = Math.max(bin.stalenessMsMax, row.stalenessMsMax);
    }
  }
  return bins;
}

function emptyBin(): Bin {
  return { compared: 0, transient: 0, persistent: 0, violations: 0, stalenessMsMax: 0 };
}

/** Which phase each rule was in, as far as it was compared. */
function phaseBands(
  rows: readonly Row[],
): readonly { name: string; spans: readonly { phase: string; from: number; to: number }[] }[] {
  const rules = new Map<string, Map<string, { phase: string; from: number; to: number }>>();
  for (const row of rows) {
    const name = row.kind === 'catalog' ? 'catalog' : row.prefix === '' ? 'all keys' : row.prefix;
    const spans = rules.get(name) ?? new Map<string, { phase: string; from: number; to: number }>();
    rules.set(name, spans);
    const from = Date.parse(row.at);
    const span = spans.get(row.phase) ?? { phase: row.phase, from, to: from };
    spans.set(row.phase, {
      phase: row.phase,
      from: Math.min(span.from, from),
      to: Math.max(span.to, from + row.widthMs),
    });
  }
  return [...rules].map(([name, spans]) => ({ name, spans: [...spans.values()] }));
}

function phaseLook(phase: string): string {
  const known = ['passthrough', 'mirror', 'dual', 'shadow', 'local-reads', 'cutover', 'final'];
  return known.includes(phase) ? phase : 'other';
}

function binText(bin: Bin, atMs: number): string {
  const time = shortTime(new Date(atMs).toISOString());
  return `${time}: ${count(bin.transient)} cleared, ${count(bin.persistent)} stayed, of ${count(bin.compared)}`;
}

/** `11-20 12:34` of an ISO time. */
export function shortTime(at: string): string {
  return `${at.slice(5, 10)} ${at.slice(11, 16)}`;
}

function timeText(tick: Date, spanMs: number): string {
  const at = tick.toISOString();
  if (spanMs < 600_000) return at.slice(11, 19);
  if (at.slice(11, 16) === '00:00') return at.slice(5, 10);
  return at.slice(11, 16);
}
