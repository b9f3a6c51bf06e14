// What all services tell of an order, in the order of its times: a lane for each service, and the time between.

import { h } from './dom.js';
import { SERVICES, clock, full, service, span } from './words.js';

const STATES = { done: ['good', 'done in'], failed: ['bad', 'dead letter of'], unknown: ['warn', 'not yet in'] };

/// `events` are those of the order's own history, whose data can be looked into.
export function timeline(items, events = []) {
  if (!items.length) return h('p', { class: 'soft' }, 'Nothing is known yet.');
  const begin = Date.parse(items[0].at);
  return [
    h('div', { class: 'lanes', 'aria-hidden': 'true' }, h('span'), SERVICES.map((name) => service(name)), h('span')),
    h('ol', { class: 'timeline' }, items.map((item, index) => {
      const at = Date.parse(item.at);
      const gap = index ? (at - Date.parse(items[index - 1].at)) / 1000 : 0;
      const event = events.find(({ id }) => id === item.event_id && item.kind === 'event');
      const title = item.kind === 'event' ? h('code', null, item.detail) : h('span', null, item.kind.replaceAll('-', ' '));
      return h('li', { key: `${item.at}${item.service}${item.kind}${item.detail}`, class: item.service },
        h('span', { class: `gap ${gap > 1 ? 'long' : ''}`, title: full(item.at) }, index ? `${gap < 0 ? '−' : '+'}${span(Math.abs(gap))}` : clock(item.at)),
        SERVICES.map((name) => h('span', { class: `lane ${name === item.service ? 'on' : ''}`, 'aria-hidden': 'true' })),
        h('div', { class: 'told' },
          h('p', null, h('span', { class: 'unseen' }, `${item.service}: `), title, h('span', { class: 'soft small' }, ` at ${span((at - begin) / 1000)}`)),
          item.kind === 'event' ? null : h('p', { class: 'soft small breaks' }, item.detail),
          item.consumers?.length ? h('p', { class: 'small row' }, item.consumers.map(({ service: name, state }) => {
            const [kind, words] = STATES[state] ?? STATES.unknown;
            const text = [h('span', { class: 'mark', 'aria-hidden': 'true' }), `${words} ${name}`];
            return state === 'failed' ? h('a', { class: `reached ${kind}`, href: `/dead-letters/${item.event_id}` }, text) : h('span', { class: `reached ${kind}` }, text);
          })) : null,
          event ? h('details', null, h('summary', null, 'Data'), h('pre', { tabindex: '0' }, JSON.stringify(event.data, null, 2))) : null));
    })),
  ];
}
