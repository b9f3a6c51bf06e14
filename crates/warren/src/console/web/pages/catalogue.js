// What events there are, who tells whom, and how many travel right now.

import { h, s } from '../dom.js';
import { SERVICES, failure, number, service, waiting } from '../words.js';

export function catalogue(view) {
  const state = {};
  const load = () => view.fetch(state, 'catalogue');
  load();
  view.live();
  view.draw(() => {
    const title = h('div', { class: 'head' }, h('div', null, h('h1', null, 'Catalogue'), h('p', { class: 'soft' }, 'Everything that the services tell each other. An arrow begins at the publisher and ends at whoever reads; the numbers are what was handled in the last ten seconds, and since the service started.')));
    if (!state.value) return [title, state.error ? failure(state.error, load) : waiting()];
    const live = counts(view.feed.now?.events ?? []);
    return [
      title,
      h('section', { class: 'panel', 'aria-label': 'Who tells whom what' }, h('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Diagram' }, flow(state.value, live))),
      SERVICES.filter((name) => state.value.some(({ publisher }) => publisher === name)).map((name) => h('section', { key: name, 'aria-labelledby': `from-${name}` }, h('h2', { id: `from-${name}` }, 'From ', service(name)),
        h('div', { class: 'cards' }, state.value.filter(({ publisher }) => publisher === name).map((event) => card(event, live))))),
    ];
  });
}

/// By event: how many were handled by whom, and how many in a second.
export function counts(events) {
  const by = {};
  for (const { event, consumer, outcomes, per_second: rate } of events) {
    const all = Object.values(outcomes).reduce((sum, count) => sum + count, 0);
    (by[event] ??= {})[consumer] = { all, rate: rate ?? 0, failed: (outcomes.retry ?? 0) + (outcomes.dead ?? 0) };
  }
  return by;
}

const total = (by) => Object.values(by ?? {}).reduce((sum, { all, rate }) => ({ all: Math.max(sum.all, all), rate: Math.max(sum.rate, rate) }), { all: 0, rate: 0 });

function card(event, live) {
  const { all, rate } = total(live[event.type]);
  return h('a', { class: 'card event', href: `/catalogue/${event.type}`, key: event.type },
    h('span', { class: 'row spread' }, h('strong', null, event.type), h('span', { class: 'version' }, `v${event.version}`)),
    h('span', { class: 'meaning' }, event.meaning),
    h('span', { class: 'row spread' },
      event.consumers.length ? h('span', { class: 'row' }, h('span', { class: 'soft' }, 'to'), event.consumers.map(({ service: name }) => service(name))) : h('span', { class: 'soft' }, 'history alone'),
      event.consumers.length ? h('span', { class: 'soft small' }, rate ? h('strong', { class: 'rate' }, `${number(rate)}/s `) : null, number(all)) : null));
}

function flow(events, live) {
  const lane = (name) => 150 + 300 * SERVICES.indexOf(name);
  const row = 47;
  const top = 84;
  const height = top + row * events.length + 8;
  return s('svg', { class: 'flow', viewBox: `0 0 900 ${height}`, role: 'group', 'aria-label': 'Every event as an arrow from the service that publishes it to those that read it' },
    s('defs', null, s('marker', { id: 'tip', viewBox: '0 0 10 10', refX: '9', refY: '5', markerWidth: '7', markerHeight: '7', orient: 'auto-start-reverse' }, s('path', { class: 'tip', d: 'M0 0L10 5L0 10z' }))),
    SERVICES.map((name) => [
      s('line', { class: 'lane', x1: lane(name), x2: lane(name), y1: 54, y2: height - 6 }),
      s('rect', { class: `box ${name}`, x: lane(name) - 75, y: 10, width: 150, height: 42, rx: 10 }),
      s('text', { class: `name ${name}`, x: lane(name), y: 36, 'text-anchor': 'middle' }, name),
    ]),
    events.map((event, index) => arrow(event, live[event.type], lane, top + row * index + 14)));
}

function arrow(event, live, lane, y) {
  const from = lane(event.publisher);
  const readers = event.consumers.map(({ service: name }) => name);
  const far = readers.map(lane).sort((one, other) => Math.abs(other - from) - Math.abs(one - from))[0];
  const { all, rate } = total(live);
  const failed = Object.values(live ?? {}).some((each) => each.failed > 0);
  const near = readers.map(lane).sort((one, other) => Math.abs(one - from) - Math.abs(other - from))[0];
  const middle = far === undefined ? 0 : (from + near) / 2;
  return s('a', { class: `message ${rate > 0 ? 'busy' : ''}`, href: `/catalogue/${event.type}` },
    far === undefined ? null : s('path', { class: 'arrow', d: `M${from} ${y}H${far}`, 'marker-end': 'url(#tip)' }),
    rate > 0 && far !== undefined ? s('path', { class: `pulse ${far > from ? 'forth' : 'back'}`, d: `M${from} ${y}H${far}` }) : null,
    readers.map(lane).filter((x) => x !== far).map((x) => s('circle', { class: 'stop', cx: x, cy: y, r: 5 })),
    s('circle', { class: 'dot', cx: from, cy: y, r: 4 }),
    far === undefined
      ? s('text', { class: 'type', x: from + 14, y: y + 4 }, event.type, s('tspan', { class: 'note' }, '  history alone'))
      : [s('text', { class: 'type', x: middle, y: y - 8, 'text-anchor': 'middle' }, event.type),
        s('text', { class: `note ${failed ? 'failed' : ''}`, x: middle, y: y + 15, 'text-anchor': 'middle' }, rate > 0 ? `${number(rate)}/s · ${number(all)}` : number(all))]);
}
