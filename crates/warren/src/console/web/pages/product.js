// One product: its level over time and its ledger.

import { h, s, ask, toast } from '../dom.js';
import { get, order as send } from '../api.js';
import { clock, empty, failure, id, money, number, pill, waiting, when } from '../words.js';

export function product(view) {
  const [sku] = view.path;
  const path = encodeURIComponent(sku);
  const state = { product: {}, pages: 1 };
  const load = async () => {
    await view.fetch(state.product, `s/inventory/v1/products/${path}`);
    try {
      const items = [];
      let cursor;
      for (let page = 0; page < state.pages; page += 1) {
        const found = await get(`s/inventory/v1/products/${path}/movements?limit=100${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`, { signal: view.signal });
        items.push(...found.items);
        cursor = found.next_cursor;
        if (!cursor) break;
      }
      state.movements = items;
      state.more = Boolean(cursor);
      state.error = undefined;
    } catch (error) {
      if (error.name !== 'AbortError') state.error = error;
    }
    view.redraw();
  };
  const again = view.every(3000, load);
  const adjust = async () => {
    const change = await ask('Adjust the stock', (close) => h('form', { onsubmit: (event) => { event.preventDefault(); const { delta, reason } = event.target.elements; close({ delta: Number(delta.value), reason: reason.value.trim() }); } },
      h('p', null, 'What came, went, or was counted. It stands in the ledger with its reason.'),
      h('p', null, h('label', { for: 'delta' }, 'By how many (negative takes away)'), h('input', { id: 'delta', name: 'delta', type: 'number', step: '1', required: true, autofocus: true })),
      h('p', null, h('label', { for: 'reason' }, 'Reason'), h('input', { id: 'reason', name: 'reason', type: 'text', maxlength: '200', required: true })),
      h('div', { class: 'buttons' }, h('button', { type: 'button', onclick: () => close() }, 'Not now'), h('button', { type: 'submit', class: 'primary' }, 'Adjust'))));
    if (!change) return;
    try {
      const after = await send(`s/inventory/v1/products/${path}/stock`, change);
      toast(`Adjusted: ${after.on_hand} on hand.`);
    } catch (error) {
      toast(error.message, 'bad');
    }
    again();
  };

  view.draw(() => {
    const { value, error } = state.product;
    const crumb = h('p', { class: 'crumb' }, h('a', { href: '/stock' }, 'Stock'));
    if (!value) return [crumb, h('h1', null, h('code', null, sku)), error?.status === 404 ? empty('There is no such product') : error ? failure(error, again) : waiting()];
    const may = view.session.scopes.includes('inventory:write') && !view.session.customer_id;
    const tile = (name, count, more) => h('div', { class: 'tile' }, h('span', { class: 'label' }, name), h('strong', null, number(count)), h('span', { class: 'more' }, more));
    return [
      crumb,
      h('div', { class: 'head' },
        h('div', null, h('h1', null, value.name), h('p', { class: 'row' }, h('code', null, value.sku), h('span', null, money(value.unit_price)), value.active ? pill('good', 'sold') : pill('cancelled', 'not sold'), h('span', { class: 'soft' }, `version ${value.version}`))),
        h('div', { class: 'buttons' }, h('button', { type: 'button', disabled: !may, title: may ? undefined : 'Needs the scope inventory:write', onclick: adjust }, 'Adjust …'))),
      error ? failure(error, again) : null,
      h('section', { class: 'tiles', 'aria-label': 'Levels' }, tile('Available', value.stock.available, value.low_stock_threshold === null ? 'no threshold' : `low below ${value.low_stock_threshold}`), tile('Reserved', value.stock.reserved, 'for orders under way'), tile('On hand', value.stock.on_hand, 'on the shelf')),
      state.movements?.length > 1 ? h('section', { class: 'panel', 'aria-labelledby': 'level-title' }, h('h2', { id: 'level-title' }, 'On hand and reserved'), steps(value, state.movements)) : null,
      h('h2', null, 'Ledger'),
      state.error ? failure(state.error, again) : null,
      !state.movements ? (state.error ? null : waiting()) : ledger(value, state.movements),
      state.more ? h('p', { class: 'center' }, h('button', { type: 'button', onclick: () => { state.pages += 1; again(); } }, 'Show more')) : null,
    ];
  });
}

/// The stock after each movement, from what it is now backwards.
function balances({ stock }, movements) {
  let [hand, held] = [stock.on_hand, stock.reserved];
  return movements.map(({ on_hand_delta: onHand, reserved_delta: reserved }) => {
    const after = { hand, held };
    hand -= onHand;
    held -= reserved;
    return after;
  });
}

function steps(product, movements) {
  const after = balances(product, movements).reverse();
  const most = Math.max(1, ...after.map(({ hand }) => hand)) * 1.1;
  const x = (index) => 40 + (index / Math.max(1, after.length - 1)) * 590;
  const y = (value) => 130 - (value / most) * 118;
  const line = (pick) => after.map((each, index) => (index ? `H${x(index).toFixed(1)}V${y(pick(each)).toFixed(1)}` : `M${x(0)} ${y(pick(each)).toFixed(1)}`)).join('');
  const last = after.at(-1);
  return [
    s('svg', { class: 'plot steps', viewBox: '0 0 640 150', role: 'img', 'aria-label': `After each of the last ${after.length} movements; now ${last.hand} on hand, ${last.held} reserved` },
      [0, 0.5, 1].map((part) => [s('line', { class: 'grid', x1: 40, x2: 630, y1: y(part * most), y2: y(part * most) }), s('text', { x: 34, y: y(part * most) + 4, 'text-anchor': 'end' }, number(Math.round(part * most)))]),
      s('text', { x: 40, y: 146 }, clock(movements.at(-1).at)), s('text', { x: 630, y: 146, 'text-anchor': 'end' }, clock(movements[0].at)),
      s('path', { class: 'line inventory', d: line(({ hand }) => hand) }), s('path', { class: 'line order', d: line(({ held }) => held) })),
    h('ul', { class: 'legend' }, h('li', null, h('span', { class: 'key inventory' }), 'on hand'), h('li', null, h('span', { class: 'key order' }), 'reserved')),
  ];
}

function ledger(product, movements) {
  const after = balances(product, movements);
  const signed = (value) => (value === 0 ? '' : value > 0 ? `+${number(value)}` : `−${number(-value)}`);
  const kinds = { adjusted: 'pending', reserved: 'reserved', committed: 'good', released: 'cancelled', returned: 'warn' };
  if (!movements.length) return empty('Nothing has moved yet');
  return h('div', { class: 'scroll panel flush', tabindex: '0', role: 'group', 'aria-label': 'Ledger' }, h('table', { class: 'rows stacks' },
    h('thead', null, h('tr', null, ['When', 'What', 'On hand', 'Reserved', 'After', 'Why'].map((name, at) => h('th', { scope: 'col', class: at > 1 && at < 5 ? 'num' : '' }, name)))),
    h('tbody', null, movements.map((movement, at) => h('tr', { key: movement.id },
      h('td', { 'data-label': 'When' }, h('span', { class: 'nowrap' }, clock(movement.at, { ms: true })), ' ', h('span', { class: 'soft small' }, when(movement.at))),
      h('td', { 'data-label': 'What' }, pill(kinds[movement.kind], movement.kind)),
      h('td', { 'data-label': 'On hand', class: 'num' }, signed(movement.on_hand_delta)),
      h('td', { 'data-label': 'Reserved', class: 'num' }, signed(movement.reserved_delta)),
      h('td', { 'data-label': 'After', class: 'num' }, `${number(after[at].hand)} / ${number(after[at].held)}`),
      h('td', { 'data-label': 'Why' }, movement.order_id ? id(movement.order_id, `/orders/${movement.order_id}`) : movement.reason ?? ''))))));
}
