// Numbers, times and ids as people read them, and the small parts that many pages show.

import { h, s, toast } from './dom.js';

export const SERVICES = ['order', 'inventory', 'email'];

/// Money in minor units: `1648 EUR` is 16.48.
export function money({ amount, currency }) {
  const format = new Intl.NumberFormat('en', { style: 'currency', currency, currencyDisplay: 'code' });
  const digits = format.resolvedOptions().maximumFractionDigits;
  return format.format(amount / 10 ** digits).replace(/^([A-Z]{3})\s?(.*)$/, '$2 $1').replace(/ /g, ' ');
}

/// 12345 as `12,345`; fractions with two digits that mean something.
export function number(value) {
  if (value === null || value === undefined || Number.isNaN(value)) return '–';
  const digits = Math.abs(value) >= 100 || Number.isInteger(value) ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toLocaleString('en', { maximumFractionDigits: digits });
}

/// Seconds as `12 ms`, `3.4 s`, `5m 12s`.
export function span(seconds) {
  if (seconds === null || seconds === undefined || Number.isNaN(seconds)) return '–';
  const size = Math.abs(seconds);
  if (size < 0.0005) return '0 ms';
  if (size < 1) return `${Math.round(seconds * 1000)} ms`;
  if (size < 60) return `${size < 10 ? seconds.toFixed(1) : Math.round(seconds)} s`;
  if (size < 3600) return `${Math.floor(seconds / 60)}m ${Math.floor(seconds % 60)}s`;
  if (size < 86400) return `${Math.floor(seconds / 3600)}h ${Math.floor((seconds % 3600) / 60)}m`;
  return `${Math.floor(seconds / 86400)}d ${Math.floor((seconds % 86400) / 3600)}h`;
}

/// How long ago.
export function ago(time) {
  const seconds = Math.floor((Date.now() - Date.parse(time)) / 1000);
  return seconds < 1 ? 'now' : `${seconds < 60 ? `${seconds} s` : span(seconds)} ago`;
}

/// The first few lines of an order, in words.
export function goods(lines) {
  const [first, rest] = [lines.slice(0, 3), lines.length - 3];
  return first.map(({ name, quantity }) => `${quantity} × ${name}`).join(', ') + (rest > 0 ? ` and ${rest} more` : '');
}

/// `14:03:27.123`, of another day with its date.
export function clock(time, { ms = false } = {}) {
  const date = new Date(time);
  const hours = date.toLocaleTimeString('en-GB', { hour12: false });
  const text = ms ? `${hours}.${String(date.getMilliseconds()).padStart(3, '0')}` : hours;
  const today = date.toDateString() === new Date().toDateString();
  return today ? text : `${date.toLocaleDateString('en-CA')} ${text}`;
}

export const full = (time) => new Date(time).toISOString();

/// A time that says how long ago, and exactly when on demand.
export function when(time) {
  return time ? h('time', { datetime: time, title: full(time) }, ago(time)) : h('span', { class: 'soft' }, '–');
}

/// The end of an id, which is where ids of the same time differ.
export const short = (id) => (id && id.length > 13 ? `…${id.slice(-8)}` : id);

/// An id that can be copied, and leads somewhere.
export function id(value, to) {
  const name = h('code', { class: 'id', title: value }, short(value));
  return h('span', { class: 'id-part' }, to ? h('a', { href: to }, name) : name, copy(value));
}

/// A button that copies.
export function copy(value) {
  const act = async () => {
    try {
      await navigator.clipboard.writeText(value);
      toast('Copied.');
    } catch {
      toast('The browser does not let a page copy here.', 'bad');
    }
  };
  return h('button', { class: 'bare copy', type: 'button', 'aria-label': `Copy ${value}`, title: 'Copy', onclick: act }, icon('copy'));
}

/// The name of a service in its colour.
export const service = (name) => h('span', { class: `service ${name}` }, name);

/// A status as a pill.
export const pill = (status, text = status) => h('span', { class: `pill ${status}` }, text);

/// Something that is not there, with why.
export function empty(title, text, more) {
  return h('div', { class: 'empty' }, icon('burrow'), h('h2', null, title), text && h('p', null, text), more);
}

/// An error where something would have stood; the rest of the page goes on.
export function failure(error, again) {
  return h('div', { class: 'failure', role: 'alert' }, icon('warn'),
    h('div', null, h('strong', null, error.title ?? 'Failed'), h('p', null, error.message)),
    again && h('button', { type: 'button', onclick: again }, 'Try again'));
}

/// While something is fetched for the first time.
export const waiting = () => h('div', { class: 'waiting', 'aria-busy': 'true' }, h('span'), h('span'), h('span'));

const PATHS = {
  overview: 'M3 12l9-8 9 8M6 10v10h4v-6h4v6h4V10',
  orders: 'M6 3h12v18l-3-2-3 2-3-2-3 2zM9 8h6M9 12h6',
  dead: 'M4 7l8 6 8-6M4 7v11h16V7zM4 7h16M9.500 15.500l5 0',
  stock: 'M3 8l9-5 9 5v9l-9 5-9-5zM3 8l9 5 9-5M12 13v9',
  mails: 'M3 6h18v12H3zM3 7l9 7 9-7',
  events: 'M4 6h6v5H4zM14 13h6v5h-6zM10 8.500h5.500a2 2 0 0 1 2 2V13',
  play: 'M7 4l12 8-12 8z',
  copy: 'M9 9h11v11H9zM5 15H4V4h11v1',
  warn: 'M12 4l9 16H3zM12 10v5M12 17.500v.5',
  burrow: 'M3 20c0-7 4-12 9-12s9 5 9 12zM8.500 20c0-3 1.500-5.500 3.500-5.500s3.500 2.500 3.500 5.500',
  good: 'M4 12.500l5 5L20 6.500',
  sun: 'M12 8a4 4 0 1 1 0 8 4 4 0 0 1 0-8zM12 2v3M12 19v3M2 12h3M19 12h3M5 5l2 2M17 17l2 2M19 5l-2 2M7 17l-2 2',
  moon: 'M20 14A8 8 0 1 1 10 4a6.500 6.500 0 0 0 10 10z',
  auto: 'M12 3a9 9 0 1 0 0 18zM12 3a9 9 0 0 1 0 18',
  leave: 'M14 4H5v16h9M10 12h11M17 8l4 4-4 4',
  back: 'M15 5l-7 7 7 7',
  next: 'M9 5l7 7-7 7',
  pause: 'M8 5v14M16 5v14',
};

/// A small drawing.
export function icon(name) {
  return s('svg', { class: `icon ${name}`, viewBox: '0 0 24 24', 'aria-hidden': 'true', focusable: 'false' }, s('path', { d: PATHS[name] }));
}
