// The states of an order and the ways between them, with those that this order has gone.

import { s } from './dom.js';

const PLACES = { pending: [112, 40], reserved: [312, 40], confirmed: [512, 40], cancelled: [312, 170] };
const WORDS = { pending: 'waits for stock', reserved: 'waits for payment', confirmed: 'goods may go', cancelled: 'it is over' };

/// Draws the order as it was with these events of its history up to its version.
export function saga(order, events) {
  const gone = events.filter(({ sequence }) => Number(sequence) <= order.version).map(({ type }) => type);
  const was = { pending: true, reserved: gone.includes('order.reserved'), confirmed: gone.includes('order.confirmed'), cancelled: order.status === 'cancelled' };
  // the state out of which it was cancelled
  const last = was.confirmed ? 'confirmed' : was.reserved ? 'reserved' : 'pending';
  const way = (from, to, label, [x, y], d, done, anchor = 'middle') => [
    s('path', { class: `way ${done ? 'done' : ''}`, d, 'marker-end': done ? 'url(#arrow-done)' : 'url(#arrow)' }),
    s('text', { class: `label ${done ? 'done' : ''}`, x, y, 'text-anchor': anchor }, label),
  ];
  const cancelledFrom = (state) => was.cancelled && last === state;
  const marker = (name) => s('marker', { id: name, class: name, viewBox: '0 0 10 10', refX: '9', refY: '5', markerWidth: '7', markerHeight: '7', orient: 'auto-start-reverse' }, s('path', { d: 'M0 0L10 5L0 10z' }));
  const node = (name) => {
    const [x, y] = PLACES[name];
    const here = order.status === name;
    return s('g', { class: `state ${name} ${here ? 'here' : was[name] ? 'was' : ''}` },
      here ? s('rect', { class: 'glow', x: x - 66, y: y - 30, width: 132, height: 60, rx: 16 }) : null,
      s('rect', { x: x - 60, y: y - 24, width: 120, height: 48, rx: 12 }),
      s('text', { class: 'name', x, y: y - 2, 'text-anchor': 'middle' }, name),
      s('text', { class: 'word', x, y: y + 14, 'text-anchor': 'middle' }, name === 'cancelled' && here ? order.cancel_reason : WORDS[name]));
  };
  const [refunded, paid] = [gone.includes('payment.refunded'), gone.includes('payment.completed')];
  const money = refunded ? 'the money went back' : paid && was.cancelled ? 'the money goes back' : null;
  return s('svg', { class: 'saga', viewBox: '0 0 584 212', role: 'img', 'aria-label': `The order is ${order.status}${order.cancel_reason ? ` (${order.cancel_reason})` : ''}. Its way: ${gone.join(', ')}.` },
    s('defs', null, marker('arrow'), marker('arrow-done')),
    s('circle', { class: 'begin', cx: 20, cy: 40, r: 7 }),
    way('placed', 'pending', '', [0, 0], 'M28 40H50', true),
    way('pending', 'reserved', 'stock held', [211, 31], 'M172 40H250', was.reserved),
    way('reserved', 'confirmed', 'paid', [411, 31], 'M372 40H450', was.confirmed),
    way('pending', 'cancelled', 'out of stock,', [122, 112], 'M112 64V146Q112 170 136 170H250', cancelledFrom('pending'), 'start'),
    s('text', { class: `label ${cancelledFrom('pending') ? 'done' : ''}`, x: 122, y: 127, 'text-anchor': 'start' }, 'or on request'),
    way('reserved', 'cancelled', 'declined, too late,', [322, 102], 'M312 64V144', cancelledFrom('reserved'), 'start'),
    s('text', { class: `label ${cancelledFrom('reserved') ? 'done' : ''}`, x: 322, y: 117, 'text-anchor': 'start' }, 'or on request'),
    way('confirmed', 'cancelled', 'on request', [502, 120], 'M512 64V146Q512 170 488 170H374', cancelledFrom('confirmed'), 'end'),
    ['pending', 'reserved', 'confirmed', 'cancelled'].map(node),
    money ? s('text', { class: 'word', x: 312, y: 209, 'text-anchor': 'middle' }, money) : null);
}
