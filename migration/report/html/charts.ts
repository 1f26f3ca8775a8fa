import { scaleLinear, scaleLog } from 'd3-scale';
import { area, curveStepAfter, line } from 'd3-shape';
import { count } from '../../terminal/format.ts';
import type { ReportHistogram } from '../model.ts';
import { middleOf } from '../../evidence/histogram.ts';
import { msText, probabilityText, shortCount } from '../numbers.ts';
import { html, type Markup } from './markup.ts';

// Plots as static SVG. Sizes are in units of the view box; text is 12 of them high.

export interface Frame {
  readonly width: number;
  readonly height: number;
  readonly left: number;
  readonly right: number;
  readonly top: number;
  readonly bottom: number;
}

export const wide: Frame = { width: 960, height: 300, left: 62, right: 16, top: 12, bottom: 44 };
export const half: Frame = { width: 470, height: 290, left: 88, right: 12, top: 12, bottom: 44 };

export interface Series {
  readonly name: string;
  /** 1 to 4: colour and dashes. */
  readonly look: number;
  readonly points: readonly (readonly [x: number, y: number])[];
  /** Lower and upper bound of each x, drawn as a band. */
  readonly band?: readonly (readonly [x: number, low: number, high: number])[];
}

export function svg(frame: Frame, title: string, described: string, body: readonly Markup[]): Markup {
  return html`<svg class="plot" viewBox="0 0 ${frame.width} ${frame.height}" role="img" aria-label="${title}">
    <title>${title}</title>
    <desc>${described}</desc>
    ${body}
  </svg>`;
}

export function legend(series: readonly { readonly name: string; readonly look: number }[]): Markup {
  return html`<ul class="legend">
    ${series.map(
      (each) =>
        html`<li>
          <svg viewBox="0 0 28 10" aria-hidden="true"><path class="line look-${each.look}" d="M1,5H27" /></svg
          >${each.name}
        </li>`,
    )}
  </ul>`;
}

/** Decades, and the lines between them, of a range in milliseconds. */
export function logTicks(low: number, high: number): { readonly major: number[]; readonly minor: number[] } {
  const major: number[] = [];
  const minor: number[] = [];
  for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
    for (const step of [1, 2, 5]) {
      const value = step * 10 ** power;
      if (value < low * 0.999 || value > high * 1.001) continue;
      (step === 1 ? major : minor).push(value);
    }
  }
  // In a range of a few decades there is room to label all.
  return major.length <= 2
    ? { major: [...major, ...minor].toSorted((a, b) => a - b), minor: [] }
    : { major, minor };
}

export function fixed(value: number): string {
  return String(Math.round(value * 10) / 10);
}

export function logAxisX(
  frame: Frame,
  x: (value: number) => number,
  domain: readonly [number, number],
  label: string,
): Markup {
  const { major, minor } = logTicks(...domain);
  const bottom = frame.height - frame.bottom;
  return html`<g class="axis"
    >${minor.map(
      (tick) => html`<path class="grid minor" d="M${fixed(x(tick))},${frame.top}V${bottom}" />`,
    )}${major.map(
      (tick) =>
        html`<path class="grid" d="M${fixed(x(tick))},${frame.top}V${bottom}" /><text
            x="${fixed(x(tick))}"
            y="${bottom + 16}"
            text-anchor="middle"
            >${msText(tick)}</text
          >`,
    )}<text
      class="label"
      x="${(frame.left + frame.width - frame.right) / 2}"
      y="${frame.height - 6}"
      text-anchor="middle"
      >${label}</text
    ></g
  >`;
}

export function axisY(
  frame: Frame,
  ticks: readonly (readonly [at: number, text: string])[],
  label: string,
): Markup {
  const middle = (frame.top + frame.height - frame.bottom) / 2;
  return html`<g class="axis"
    >${ticks.map(
      ([at, text]) =>
        html`<path class="grid" d="M${frame.left},${fixed(at)}H${frame.width - frame.right}" /><text
            x="${frame.left - 7}"
            y="${fixed(at + 4)}"
            text-anchor="end"
            >${text}</text
          >`,
    )}<text class="label" transform="translate(13,${fixed(middle)}) rotate(-90)" text-anchor="middle"
      >${label}</text
    ></g
  >`;
}

/** What a histogram says of shares: at most so long. Values of zero come at `least`. */
export function cumulative(
  histogram: ReportHistogram,
  least: number,
): readonly (readonly [number, number])[] {
  if (histogram.count === 0) return [];
  let upTo = histogram.zero;
  const points: [number, number][] = [[least, upTo / histogram.count]];
  for (const [bucket, many] of histogram.buckets) {
    upTo += many;
    points.push([Math.max(least, middleOf(bucket)), upTo / histogram.count]);
  }
  return points;
}

const nineTicks = [
  [0, '0 %'],
  [0.5, '50 %'],
  [0.9, '90 %'],
  [0.99, '99 %'],
  [0.999, '99.9 %'],
  [0.9999, '99.99 %'],
  [0.99999, '99.999 %'],
] as const;

/** A cumulative distribution over a scale of nines, where tails can be read: 50 %, 90 %, 99 %, 99.9 % … */
export function cdfPlot(
  title: string,
  xLabel: string,
  all: readonly { readonly name: string; readonly look: number; readonly histogram: ReportHistogram }[],
  limitMs?: { readonly at: number; readonly name: string },
): Markup {
  const held = all.filter((each) => each.histogram.count > 0);
  if (held.length === 0) return html`<p class="nothing">Nothing was measured.</p>`;
  const frame = half;
  const values = held.flatMap(({ histogram }) => histogram.buckets.map(([bucket]) => middleOf(bucket)));
  const low = 10 ** Math.floor(Math.log10(Math.max(0.1, Math.min(1, ...values))));
  const high = Math.max(low * 10, ...values, limitMs?.at ?? 0);
  const nines = Math.min(6, Math.max(2, ...held.map(({ histogram }) => Math.log10(histogram.count))));
  const x = scaleLog([low, high], [frame.left, frame.width - frame.right]).clamp(true);
  const y = scaleLinear([0, nines], [frame.height - frame.bottom, frame.top]).clamp(true);
  const yOf = (p: number): number => y(p >= 1 ? nines : Math.min(nines, -Math.log10(1 - p)));
  const draw = line<readonly [number, number]>(
    (point) => x(point[0]),
    (point) => yOf(point[1]),
  )
    .curve(curveStepAfter)
    .digits(1);
  const ticks = nineTicks.filter(([p]) => p === 0 || -Math.log10(1 - p) <= nines);
  return html`${svg(
    frame,
    title,
    held.map(({ name, histogram }) => `${name}: ${count(histogram.count)} values`).join('; '),
    [
      logAxisX(frame, x, [low, high], xLabel),
      axisY(
        frame,
        ticks.map(([p, text]) => [yOf(p), text] as const),
        'share of reads at most so long',
      ),
      limitMs === undefined
        ? html``
        : html`<path
              class="limit"
              d="M${fixed(x(limitMs.at))},${frame.top}V${frame.height - frame.bottom}"
            /><text
              class="mark"
              x="${fixed(x(limitMs.at) - 4)}"
              y="${frame.height - frame.bottom - 6}"
              text-anchor="end"
              >${limitMs.name}</text
            >`,
      ...held.map(
        ({ histogram, look }) =>
          html`<path class="line look-${look}" d="${draw(cumulative(histogram, low)) ?? ''}" />`,
      ),
    ],
  )}${legend(held.map(({ name, look, histogram }) => ({ name: `${name} (n ${shortCount(histogram.count)})`, look })))}`;
}

/** P(fresh) by time since the acknowledgement, with how many reads each point rests on. */
export function visibilityPlot(
  title: string,
  all: readonly (Series & { readonly n: readonly (readonly [tMs: number, n: number])[] })[],
): Markup {
  const held = all.filter((series) => series.points.length > 0);
  if (held.length === 0) return html`<p class="nothing">No read was timed after an acknowledged write.</p>`;
  const frame: Frame = { ...wide, height: 380, bottom: 130 };
  const bottom = frame.height - frame.bottom;
  const times = held.flatMap((series) => series.points.map(([t]) => t));
  const domain = [Math.min(1, ...times), Math.max(60_000, ...times)] as const;
  const x = scaleLog([...domain], [frame.left + 8, frame.width - frame.right - 8]);
  const y = scaleLinear([0, 1], [bottom, frame.top]);
  const most = Math.max(1, ...held.flatMap((series) => series.n.map(([, n]) => n)));
  const barsTop = bottom + 30;
  const barsBottom = frame.height - 34;
  const barHeight = scaleLinear([0, most], [0, barsBottom - barsTop]);
  const draw = line<readonly [number, number]>(
    (point) => x(point[0]),
    (point) => y(point[1]),
  ).digits(1);
  const drawBand = area<readonly [number, number, number]>(
    (point) => x(point[0]),
    (point) => y(point[1]),
    (point) => y(point[2]),
  ).digits(1);
  const barWidth = Math.min(9, 22 / held.length);
  return html`${svg(
    frame,
    title,
    'Probability that a read sees a write, by time since the write was acknowledged',
    [
      logAxisX({ ...frame, bottom: frame.bottom }, x, domain, 'time since the write was acknowledged'),
      axisY(
        { ...frame },
        [0, 0.25, 0.5, 0.75, 0.9, 1].map((p) => [y(p), `${p * 100} %`] as const),
        'P(fresh)',
      ),
      ...held.map((series) =>
        series.band === undefined
          ? html``
          : html`<path class="band look-${series.look}" d="${drawBand(series.band) ?? ''}" />`,
      ),
      ...held.map(
        (series) =>
          html`<path class="line look-${series.look}" d="${draw(series.points) ?? ''}" />${series.points.map(
              ([t, p]) =>
                html`<circle class="dot look-${series.look}" cx="${fixed(x(t))}" cy="${fixed(y(p))}" r="3"
                  ><title>
                    ${series.name}: ${probabilityText(p)} at ${msText(t)} (n
                    ${count(series.n.find(([at]) => at === t)?.[1] ?? 0)})
                  </title></circle
                >`,
            )}`,
      ),
      html`<g class="bars"
        ><path class="base" d="M${frame.left},${barsBottom}H${frame.width - frame.right}" /><text
          x="${frame.left - 7}"
          y="${barsTop + 10}"
          text-anchor="end"
          >${shortCount(most)}</text
        ><text x="${frame.left - 7}" y="${barsBottom}" text-anchor="end">0</text
        ><text
          class="label"
          transform="translate(13,${fixed((barsTop + barsBottom) / 2)}) rotate(-90)"
          text-anchor="middle"
          >n</text
        >${held.map((series, at) =>
          series.n.map(
            ([t, n]) =>
              html`<rect
                class="bar look-${series.look}"
                x="${fixed(x(t) + (at - held.length / 2) * barWidth)}"
                y="${fixed(barsBottom - barHeight(n))}"
                width="${fixed(barWidth - 1)}"
                height="${fixed(barHeight(n))}"
                ><title>${series.name}: n ${count(n)} at ${msText(t)}</title></rect
              >`,
          ),
        )}</g
      >`,
    ],
  )}${legend(held)}`;
}
