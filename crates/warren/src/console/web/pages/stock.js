// What is sold, and how much of it there is.

import { h, s } from '../dom.js';
import { get } from '../api.js';
import { empty, failure, money, number, pill, waiting } from '../words.js';

/// More products than this are not fetched at once.
const MOST = 1000;

export function stock(view) {
  const state = { text: '', low: false };
  const load = view.every(3000, async () => {
    try {
      const items = [];
      let cursor;
      do {
        const page = await get(`s/inventory/v1/products?limit=200${cursor ? `&cursor=${encodeURIComponent(cursor)}` : ''}`, { signal: view.signal });
        items.push(...page.items);
        cursor = page.next_cursor;
      } while (cursor && items.length < MOST);
      state.items = items;
      state.cut = Boolean(cursor);
      state.error = undefined;
    } catch (error) {
      if (error.name !== 'AbortError') state.error = error;
    }
    view.redraw();
  });
  view.draw(() => {
    const isLow = ({ stock: { available }, low_stock_threshold: threshold }) => threshold !== null && available < threshold;
    const fits = (product) => `${product.sku} ${product.name}`.toLowerCase().includes(state.text.toLowerCase()) && (!state.low || isLow(product));
    const items = state.items?.filter(fits);
    return [
      h('div', { class: 'head' }, h('div', null, h('h1', null, 'Stock'), h('p', { class: 'soft' }, 'Available is what is on hand and not reserved. It is never below zero.'))),
      h('div', { class: 'filters' },
        h('form', { role: 'search', onsubmit: (event) => event.preventDefault() }, h('label', { for: 'find', class: 'unseen' }, 'Product'), h('input', { id: 'find', type: 'search', placeholder: 'Name or sku', value: state.text, oninput: ({ target }) => { state.text = target.value; view.redraw(); } })),
        h('button', { type: 'button', class: 'toggle', 'aria-pressed': String(state.low), onclick: () => { state.low = !state.low; view.redraw(); } }, 'Only what is low')),
      state.error ? failure(state.error, load) : null,
      !items ? (state.error ? null : waiting()) : items.length === 0 ? empty('No product', state.items.length ? 'None fits what you look for.' : 'The catalogue is empty.') : h('div', { class: 'scroll panel flush', tabindex: '0', role: 'group', 'aria-label': 'Products' }, h('table', { class: 'rows stacks' },
        h('thead', null, h('tr', null, ['Product', 'Price', 'Level', 'Available', 'Reserved', 'On hand', ''].map((name, at) => h('th', { scope: 'col', class: [1, 3, 4, 5].includes(at) ? 'num' : '' }, name || h('span', { class: 'unseen' }, 'State'))))),
        h('tbody', null, items.map((product) => h('tr', { key: product.sku },
          h('td', { 'data-label': 'Product' }, h('a', { href: `/stock/${encodeURIComponent(product.sku)}` }, product.name), h('br'), h('code', { class: 'soft small' }, product.sku)),
          h('td', { 'data-label': 'Price', class: 'num' }, money(product.unit_price)),
          h('td', { 'data-label': 'Level', class: 'level-cell' }, level(product)),
          h('td', { 'data-label': 'Available', class: 'num strong' }, number(product.stock.available)),
          h('td', { 'data-label': 'Reserved', class: 'num' }, number(product.stock.reserved)),
          h('td', { 'data-label': 'On hand', class: 'num' }, number(product.stock.on_hand)),
          h('td', null, !product.active ? pill('cancelled', 'not sold') : product.stock.available === 0 ? pill('bad', 'out of stock') : isLow(product) ? pill('warn', 'low') : pill('good', 'fine'))))))),
      state.cut ? h('p', { class: 'soft' }, `The first ${number(MOST)} products by sku.`) : null,
    ];
  });
}

/// What is available and reserved, side by side, with the mark below which a mail goes out.
export function level({ stock: { available, reserved, on_hand: onHand }, low_stock_threshold: threshold }) {
  // each by its own measure: of one product a hundred are plenty, of another nothing
  const most = Math.max(1, onHand, 4 * (threshold ?? 0));
  const text = `${available} available, ${reserved} reserved`;
  return h('div', { class: 'level-box',  role: 'img', 'aria-label': threshold === null ? text : `${text}; low below ${threshold}` }, bar(available, reserved, threshold, most));
}

function bar(available, reserved, threshold, most) {
  const wide = (value) => (Math.min(value, most) / most) * 200;
  return s('svg', { viewBox: '0 0 200 12', preserveAspectRatio: 'none', class: 'level' },
    s('rect', { class: 'ground', x: 0, y: 2, width: 200, height: 8, rx: 3 }),
    s('rect', { class: 'available', x: 0, y: 2, width: wide(available), height: 8, rx: 3 }),
    s('rect', { class: 'reserved', x: wide(available), y: 2, width: wide(reserved), height: 8 }),
    threshold ? s('rect', { class: 'threshold', x: Math.min(198, wide(threshold)), y: 0, width: 1.5, height: 12 }) : null);
}
