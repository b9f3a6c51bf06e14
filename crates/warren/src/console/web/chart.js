// Live charts, drawn by hand in SVG: lines over time with a scale, a legend that shows the last values, and a line under
// the pointer (or the arrow keys) that shows those of any moment.

import { h, s, draw } from './dom.js';
import { clock, number } from './words.js';

const LEFT = 46;
const RIGHT = 10;
const TOP = 10;
const BOTTOM = 22;

export class Chart {
  #data = { at: [], series: [] };
  #chosen;
  #width = 560;

  /// `series`: `[{name, label, colour}]`, of which `name` is that of the history.
  constructor({ title, series, format = number, height = 190, note }) {
    Object.assign(this, { title, series, format, height, note });
    this.element = h('figure', { class: 'chart' });
    this.element.addEventListener('pointermove', (event) => this.#point(event));
    this.element.addEventListener('pointerleave', () => this.#choose(undefined));
    this.element.addEventListener('keydown', (event) => this.#step(event));
    // a unit of the drawing is a pixel, so that its texts are as large as all others
    new ResizeObserver(([{ contentRect }]) => { this.#width = Math.max(260, Math.round(contentRect.width)); this.#draw(); }).observe(this.element);
  }

  update(history, spanMs) {
    this.#data = { at: history.at, series: this.series.map(({ name }) => history[name] ?? []) };
    this.span = spanMs;
    this.#draw();
  }

  #point(event) {
    const box = this.element.querySelector('svg.plot')?.getBoundingClientRect();
    if (!box) return;
    const x = ((event.clientX - box.left) / box.width) * this.#width;
    const at = this.#from + ((x - LEFT) / (this.#width - LEFT - RIGHT)) * this.span;
    this.#choose(nearest(this.#data.at, at));
  }

  #step(event) {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    const last = this.#data.at.length - 1;
    if (!by || last < 0) return;
    event.preventDefault();
    this.#choose(Math.min(last, Math.max(0, (this.#chosen ?? last) + by)));
  }

  #choose(index) {
    if (index === this.#chosen) return;
    this.#chosen = index;
    this.#draw();
  }

  get #from() {
    return (this.#data.at.at(-1) ?? Date.now()) - this.span;
  }

  #draw() {
    const { at, series } = this.#data;
    if (!this.span) return;
    const index = this.#chosen ?? at.length - 1;
    const top = ceiling(series.flat());
    const plot = { width: this.#width - LEFT - RIGHT, height: this.height - TOP - BOTTOM };
    const x = (time) => LEFT + ((time - this.#from) / this.span) * plot.width;
    const y = (value) => TOP + plot.height * (1 - value / top);
    const last = series.map((values) => values[index]);
    const told = this.series.map(({ label }, i) => `${label} ${this.format(last[i])}`).join(', ');
    const ticks = [0, 0.5, 1].map((part) => part * top);
    const times = (this.#width < 420 ? [0, 0.5, 1] : [0, 1 / 3, 2 / 3, 1]).map((part) => this.#from + part * this.span);
    draw(this.element,
      h('figcaption', null, h('h3', null, this.title), h('span', { class: 'at' }, this.#chosen === undefined ? this.note ?? '' : clock(at[index]))),
      h('ul', { class: 'legend' }, this.series.map(({ label, colour }, i) => h('li', null, h('span', { class: `key ${colour}` }), label, h('strong', null, this.format(last[i]))))),
      s('svg', { class: 'plot', viewBox: `0 0 ${this.#width} ${this.height}`, role: 'img', tabindex: '0', 'aria-label': `${this.title}: ${told}. Arrow keys go through time.` },
        ticks.map((value) => [
          s('line', { class: 'grid', x1: LEFT, x2: this.#width - RIGHT, y1: y(value), y2: y(value) }),
          s('text', { x: LEFT - 8, y: y(value) + 4, 'text-anchor': 'end' }, this.format(value)),
        ]),
        times.map((time, i) => s('text', { x: x(time), y: this.height - 5, 'text-anchor': i === 0 ? 'start' : i === times.length - 1 ? 'end' : 'middle' }, clock(time).slice(-8, -3) + (this.span < 20 * 60000 ? clock(time).slice(-3) : ''))),
        series.map((values, i) => line(at, values, x, y, TOP + plot.height, this.series[i].colour, series.length === 1)),
        index >= 0 && this.#chosen !== undefined ? s('line', { class: 'now', x1: x(at[index]), x2: x(at[index]), y1: TOP, y2: TOP + plot.height }) : null,
        last.map((value, i) => (Number.isFinite(value) ? s('circle', { class: `tip ${this.series[i].colour}`, cx: x(at[index]), cy: y(value), r: 3.5 }) : null))));
  }
}

/// A line that is broken where nothing is known; under a single one the area is filled.
function line(at, values, x, y, ground, colour, filled) {
  let path = '';
  let area = '';
  let pen = false;
  let start;
  const close = (index) => { if (filled && pen) area += `L${x(at[index]).toFixed(1)} ${ground}L${start} ${ground}Z`; };
  values.forEach((value, index) => {
    const known = Number.isFinite(value);
    if (known) {
      const point = `${x(at[index]).toFixed(1)} ${y(value).toFixed(1)}`;
      path += `${pen ? 'L' : 'M'}${point}`;
      area += `${pen ? 'L' : 'M'}${point}`;
      if (!pen) start = x(at[index]).toFixed(1);
    } else close(index - 1);
    pen = known;
  });
  close(values.length - 1);
  return [filled ? s('path', { class: `area ${colour}`, d: area }) : null, s('path', { class: `line ${colour}`, d: path })];
}

function nearest(times, wanted) {
  if (!times.length) return undefined;
  let best = 0;
  times.forEach((time, index) => { if (Math.abs(time - wanted) < Math.abs(times[best] - wanted)) best = index; });
  return best;
}

/// A round number above all values: 1, 2, 5, 10, 20, …
function ceiling(values) {
  const most = Math.max(0, ...values.filter(Number.isFinite));
  if (most === 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(most));
  return [1, 2, 5, 10].map((digit) => digit * unit).find((round) => round >= most * 1.02) ?? 20 * unit;
}

/// A small line without scales.
export function sparkline(values, colour, label) {
  const known = values.slice(-150);
  const top = ceiling(known);
  const x = (index) => (index / Math.max(1, known.length - 1)) * 118 + 1;
  const y = (value) => 23 - (value / top) * 21;
  const points = known.map((value, index) => (Number.isFinite(value) ? `${x(index).toFixed(1)},${y(value).toFixed(1)}` : null)).filter(Boolean);
  return s('svg', { class: 'sparkline', viewBox: '0 0 120 24', preserveAspectRatio: 'none', role: 'img', 'aria-label': label },
    s('polyline', { class: `line ${colour}`, points: points.join(' ') }));
}
