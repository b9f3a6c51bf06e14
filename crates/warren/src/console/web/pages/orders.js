// The orders, live: filtered, searched, and those that wait too long.

import { h } from '../dom.js';
import { get, query } from '../api.js';
import { ago, empty, failure, goods, id, money, pill, service, waiting, when } from '../words.js';

const STATUSES = ['pending', 'reserved', 'confirmed', 'cancelled'];
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function orders(view) {
  const stuckOnly = view.query.get('view') === 'stuck';
  const filter = { status: view.query.get('status') ?? '', customer_id: view.query.get('customer') ?? '', created_from: view.query.get('from') ?? '', created_to: view.query.get('to') ?? '' };
  const state = { pages: 1, list: {}, stuck: {}, live: true, fresh: new Set(), search: filter.customer_id, note: '' };
  const go = (changes) => {
    const next = { ...filter, ...changes };
    view.navigate(`/orders${query({ status: next.status, customer: next.customer_id, from: next.created_from, to: next.created_to })}`, { replace: true });
  };

  const load = async () => {
    const known = new Set(state.items?.map((order) => order.id));
    try {
      const items = [];
      let cursor;
      for (let page = 0; page < state.pages; page += 1) {
        const found = await get(`s/order/v1/orders${query({ ...rest(filter), limit: 50, cursor })}`, { signal: view.signal });
        items.push(...found.items);
        cursor = found.next_cursor;
        if (!cursor) break;
      }
      state.fresh = new Set(state.items ? items.filter((order) => !known.has(order.id)).map((order) => order.id) : []);
      state.items = items;
      state.more = Boolean(cursor);
      state.error = undefined;
    } catch (error) {
      if (error.name !== 'AbortError') state.error = error;
    }
    view.redraw();
  };
  const again = stuckOnly ? view.every(5000, () => view.fetch(state.stuck, 'stuck')) : view.every(2000, async () => (state.live || !state.items ? load() : undefined));

  const search = async (event) => {
    event.preventDefault();
    const text = event.target.elements.search.value.trim();
    if (!text) return go({ customer_id: '' });
    if (!UUID.test(text)) {
      state.note = 'An id has 36 characters, such as 0199c2b0-5a3e-7c11-9d51-2f4b8a6e0c77.';
      return view.redraw();
    }
    try {
      await get(`s/order/v1/orders/${text}`, { signal: view.signal });
      view.navigate(`/orders/${text}`, { focus: true });
    } catch (error) {
      if (error.name === 'AbortError') return;
      // no order: then a customer, whose orders are shown
      if (error.status === 404) return go({ customer_id: text });
      state.note = error.message;
      view.redraw();
    }
  };

  view.draw(() => [
    h('div', { class: 'head' },
      h('div', null, h('h1', null, 'Orders'), h('p', { class: 'soft' }, stuckOnly ? 'Those that wait too long, the longest first.' : 'Newest first.')),
      stuckOnly ? null : h('button', { type: 'button', class: 'toggle', 'aria-pressed': String(state.live), onclick: () => { state.live = !state.live; again(); view.redraw(); } }, h('span', { class: 'dot' }), state.live ? 'Live' : 'Paused')),
    h('div', { class: 'filters' },
      h('form', { role: 'search', onsubmit: search }, h('label', { for: 'search', class: 'unseen' }, 'Order or customer'),
        h('input', { id: 'search', name: 'search', type: 'search', placeholder: 'Id of an order or a customer', value: state.search, oninput: ({ target }) => { state.search = target.value; }, autocomplete: 'off', 'aria-describedby': state.note ? 'search-note' : undefined }),
        h('button', { type: 'submit' }, 'Search')),
      h('nav', { class: 'chips', 'aria-label': 'Status' },
        chip('All', '/orders', !filter.status && !stuckOnly),
        STATUSES.map((status) => chip(status, `/orders${query({ status, customer: filter.customer_id, from: filter.created_from, to: filter.created_to })}`, filter.status === status && !stuckOnly)),
        chip('waiting too long', '/orders?view=stuck', stuckOnly)),
      stuckOnly ? null : h('div', { class: 'dates' },
        date('From', filter.created_from, (value) => go({ created_from: value })),
        date('To', filter.created_to, (value) => go({ created_to: value })))),
    state.note ? h('p', { id: 'search-note', class: 'notice bad', role: 'alert' }, state.note) : null,
    filter.customer_id && !stuckOnly ? h('p', { class: 'notice' }, 'Orders of the customer ', id(filter.customer_id), ' ', h('a', { href: `/orders${query({ status: filter.status })}` }, 'Show all')) : null,
    stuckOnly ? stuck(state.stuck, again) : list(state, again, () => { state.pages += 1; state.live = false; load(); }),
  ]);
}

function rest({ status, customer_id, created_from, created_to }) {
  const day = (date, add) => (date ? new Date(Date.parse(`${date}T00:00:00`) + add).toISOString() : undefined);
  return { status, customer_id, created_from: day(created_from, 0), created_to: day(created_to, 86400000) };
}

const chip = (name, href, here) => h('a', { class: 'chip', href, 'aria-current': here ? 'true' : undefined }, name);

function date(name, value, choose) {
  const key = `date-${name.toLowerCase()}`;
  return h('span', null, h('label', { for: key }, name), h('input', { id: key, type: 'date', value, onchange: (event) => choose(event.target.value) }));
}

function list(state, again, more) {
  if (state.error && !state.items) return failure(state.error, again);
  if (!state.items) return waiting();
  if (!state.items.length) return empty('No orders', 'None fits what you have chosen.', h('p', null, h('a', { class: 'button', href: '/try' }, 'Place one')));
  return [
    state.error ? failure(state.error, again) : null,
    h('div', { class: 'scroll panel flush', tabindex: '0', role: 'group', 'aria-label': 'Orders' }, h('table', { class: 'rows stacks' },
      h('thead', null, h('tr', null, ['Order', 'Status', 'What', 'Total', 'Payment', 'Customer', 'Placed'].map((name) => h('th', { scope: 'col', class: name === 'Total' ? 'num' : '' }, name)))),
      h('tbody', null, state.items.map((order) => h('tr', { key: order.id, class: state.fresh.has(order.id) ? 'fresh' : '' },
        h('td', { 'data-label': 'Order' }, id(order.id, `/orders/${order.id}`)),
        h('td', { 'data-label': 'Status' }, pill(order.status), order.cancel_reason ? h('span', { class: 'soft small' }, ` ${order.cancel_reason}`) : null),
        h('td', { 'data-label': 'What', class: 'what' }, goods(order.lines)),
        h('td', { 'data-label': 'Total', class: 'num' }, money(order.total)),
        h('td', { 'data-label': 'Payment' }, h('span', null, order.payment.method.replace('sandbox:', '')), h('span', { class: 'soft small' }, ` ${order.payment.status}`)),
        h('td', { 'data-label': 'Customer' }, id(order.customer_id, `/orders?customer=${order.customer_id}`)),
        h('td', { 'data-label': 'Placed' }, when(order.created_at))))))),
    state.more ? h('p', { class: 'center' }, h('button', { type: 'button', onclick: more }, 'Show more')) : null,
  ];
}

function stuck({ value, error }, again) {
  if (!value) return error ? failure(error, again) : waiting();
  return [
    value.silent.map(({ service: name, error: why }) => h('p', { class: 'notice bad', key: name }, service(name), ' was not asked: ', why)),
    value.items.length === 0 ? empty('No order waits too long', 'What takes less than a minute is not listed.') : h('div', { class: 'cards' }, value.items.map((item) =>
      h('article', { class: 'card', key: item.order_id + item.service },
        h('h2', { class: 'row' }, id(item.order_id, `/orders/${item.order_id}`), pill('warn', `waits for ${item.waits_for}`)),
        h('p', null, item.reason),
        h('p', { class: 'soft' }, 'For ', ago(item.since).replace(' ago', ''), ', as ', service(item.service), ' tells')))),
  ];
}
