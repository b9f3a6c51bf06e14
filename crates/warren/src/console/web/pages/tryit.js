// Orders of each kind, placed with a click, and their way through the services as it happens.

import { h, s, toast } from '../dom.js';
import { get, order as send, post } from '../api.js';
import { empty, failure, icon, id, money, number, pill, span, waiting } from '../words.js';

const KINDS = [
  { kind: 'ok', name: 'All goes well', text: 'Stock is held, the payment comes, the goods may go, a mail goes out.', payment: 'sandbox:ok' },
  { kind: 'short', name: 'Out of stock', text: 'One more than there is: nothing is held, and the customer is told.', payment: 'sandbox:ok' },
  { kind: 'declined', name: 'Payment declined', text: 'What was held is released again; one mail explains it.', payment: 'sandbox:declined' },
  { kind: 'flaky', name: 'Payment on the third try', text: 'The provider fails twice; the order waits, and nothing is charged twice.', payment: 'sandbox:flaky' },
  { kind: 'manual', name: 'Payment by webhook', text: 'The order waits until you play the payment provider.', payment: 'sandbox:manual' },
];

/// How many orders are watched at a time.
const MOST = 12;

export function tryIt(view) {
  const state = { products: {}, sku: undefined, quantity: 1, placed: [], busy: false, shown: undefined };
  const load = () => view.fetch(state.products, 's/inventory/v1/products?limit=100');
  view.every(5000, load);
  const may = (scope) => view.session.scopes.includes(scope);
  const products = () => (state.products.value?.items ?? []).filter(({ active }) => active);
  const chosen = () => products().find(({ sku }) => sku === state.sku) ?? [...products()].sort((one, other) => other.stock.available - one.stock.available)[0];

  const customer = async () => {
    const kept = sessionStorage.getItem('warren-customer');
    if (kept) {
      const known = await get(`s/order/v1/customers/${kept}`, { signal: view.signal }).catch(() => undefined);
      if (known) return kept;
    }
    const number = [...crypto.getRandomValues(new Uint8Array(4))].map((byte) => byte.toString(16).padStart(2, '0')).join('');
    const made = await send('s/order/v1/customers', { name: 'Ada Tryout', email: `ada-${number}@example.com` });
    sessionStorage.setItem('warren-customer', made.id);
    return made.id;
  };

  const lines = ({ kind }) => {
    const product = chosen();
    if (kind !== 'short') return [{ sku: product.sku, quantity: state.quantity }];
    // the scarcest: of it one more than there is can be asked for
    const scarce = [...products()].sort((one, other) => one.stock.available - other.stock.available)[0];
    return [{ sku: scarce.sku, quantity: Math.min(10000, scarce.stock.available + 1) }];
  };

  const place = async (kind, times = 1) => {
    state.busy = true;
    view.redraw();
    try {
      const customer_id = await customer();
      for (let count = 0; count < times; count += 1) {
        const began = performance.now();
        const made = await send('s/order/v1/orders', { customer_id, lines: lines(kind), payment_method: kind.payment });
        const entry = { id: made.id, kind, order: made, answered: (performance.now() - began) / 1000, items: [], trace: {} };
        state.placed = [entry, ...state.placed].slice(0, MOST);
        state.shown = made.id;
        view.redraw();
      }
    } catch (error) {
      toast(error.message, 'bad');
    }
    state.busy = false;
    look();
  };

  const settle = async (entry, completed) => {
    try {
      await post(`payments/${entry.id}`, { completed });
      toast(completed ? 'The provider has told that it is paid.' : 'The provider has told that it is refused.');
    } catch (error) {
      toast(error.message, 'bad');
    }
    look();
  };

  // those that are open are looked at often, those that have just ended a little longer, for their mails
  const look = view.every(600, async () => {
    const open = state.placed.filter((entry) => !entry.done || Date.now() - entry.done < 6000);
    await Promise.all(open.map(async (entry) => {
      entry.order = await get(`s/order/v1/orders/${entry.id}`, { signal: view.signal });
      if (view.session.ops) entry.items = (await get(`trace/${entry.id}`, { signal: view.signal })).items;
      else entry.items = (await get(`s/order/v1/orders/${entry.id}/events`, { signal: view.signal })).items.map(({ time, type }) => ({ at: time, service: 'order', kind: 'event', detail: type }));
      const final = ['confirmed', 'cancelled'].includes(entry.order.status);
      if (final) entry.done ??= Date.now();
    }));
    if (open.length) view.redraw();
  });

  view.draw(() => {
    const title = h('div', { class: 'head' }, h('div', null, h('h1', null, 'Try it'), h('p', { class: 'soft' }, 'Place an order of each kind, and watch the events flow. Orders here are real ones of this system, paid in a sandbox.')));
    if (!state.products.value) return [title, state.products.error ? failure(state.products.error, load) : waiting()];
    const product = chosen();
    if (!product) return [title, empty('Nothing is sold', 'Put a product into inventory first: PUT /v1/products/SKU.')];
    const shown = state.placed.find((entry) => entry.id === state.shown) ?? state.placed[0];
    return [
      title,
      may('orders:write') ? null : h('p', { class: 'notice bad' }, 'Your token cannot place orders: it lacks the scope ', h('code', null, 'orders:write'), '.'),
      h('section', { class: 'panel try-form', 'aria-label': 'What is ordered' },
        h('div', null, h('label', { for: 'sku' }, 'Product'), h('select', { id: 'sku', onchange: ({ target }) => { state.sku = target.value; view.redraw(); } }, products().map((each) => h('option', { value: each.sku, selected: each.sku === product.sku }, `${each.name} (${number(each.stock.available)} available)`)))),
        h('div', null, h('label', { for: 'quantity' }, 'Quantity'), h('input', { id: 'quantity', type: 'number', min: '1', max: '10000', value: String(state.quantity), oninput: ({ target }) => { state.quantity = Math.max(1, Math.min(10000, Number(target.value) || 1)); view.redraw(); } })),
        h('p', { class: 'soft' }, 'Together ', h('strong', null, money({ ...product.unit_price, amount: product.unit_price.amount * state.quantity })))),
      h('section', { class: 'kinds', 'aria-label': 'Kinds of orders' }, KINDS.map((kind) => h('button', { type: 'button', class: `kind ${kind.kind}`, key: kind.kind, disabled: state.busy || !may('orders:write'), onclick: () => place(kind) },
        h('strong', null, icon('play'), kind.name), h('span', null, kind.text)))),
      h('p', { class: 'row' }, h('button', { type: 'button', disabled: state.busy || !may('orders:write'), onclick: () => place(KINDS[0], 25) }, 'Place 25 at once'), h('span', { class: 'soft' }, 'and look at the ', h('a', { href: '/' }, 'overview'), '.')),
      shown ? flow(shown, view, settle) : h('section', { class: 'panel' }, empty('Nothing placed yet', 'Choose a kind above.')),
      state.placed.length > 1 ? h('section', { 'aria-labelledby': 'placed-title' }, h('h2', { id: 'placed-title' }, 'Placed here'), h('ul', { class: 'placed panel flush' }, state.placed.map((entry) => h('li', { key: entry.id },
        h('button', { type: 'button', 'aria-pressed': String(entry === shown), onclick: () => { state.shown = entry.id; view.redraw(); } }, h('span', null, entry.kind.name), h('code', { class: 'soft' }, `…${entry.id.slice(-8)}`), pill(entry.order.status), h('span', { class: 'soft small' }, entry.order.cancel_reason ?? '')))))) : null,
    ];
  });
}

const LANE = { caller: 70, order: 260, inventory: 480, email: 690 };
const ROW = 34;
const TOP = 74;

/// What happened to one order, from top to bottom: a lane for each service, an arrow for each message.
function flow(entry, view, settle) {
  const { order } = entry;
  const steps = story(entry);
  const height = Math.max(TOP + ROW * steps.length + 34, 200);
  const final = ['confirmed', 'cancelled'].includes(order.status);
  const waits = entry.kind.kind === 'manual' && order.status === 'reserved';
  return h('section', { class: 'panel', key: entry.id, 'aria-labelledby': 'flow-title' },
    h('div', { class: 'row spread' }, h('h2', { id: 'flow-title', class: 'row' }, entry.kind.name, pill(order.status), order.cancel_reason ? h('span', { class: 'soft' }, order.cancel_reason) : null), id(entry.id, `/orders/${entry.id}`)),
    waits ? h('div', { class: 'notice row' }, 'It waits for the payment provider. ', view.session.provider && view.session.ops
      ? [h('button', { type: 'button', class: 'primary', onclick: () => settle(entry, true) }, 'It is paid'), h('button', { type: 'button', class: 'danger', onclick: () => settle(entry, false) }, 'It is refused')]
      : h('span', null, 'To play it here, the console needs PAYMENT_WEBHOOK_SECRET, and you the scope ops.')) : null,
    h('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'What happened' }, s('svg', { class: 'sequence', viewBox: `0 0 890 ${height}`, role: 'img', 'aria-label': steps.map(({ text }) => text).join('; ') },
      s('defs', null, s('marker', { id: 'tip', viewBox: '0 0 10 10', refX: '9', refY: '5', markerWidth: '7', markerHeight: '7', orient: 'auto-start-reverse' }, s('path', { class: 'tip', d: 'M0 0L10 5L0 10z' }))),
      Object.entries(LANE).map(([name, x]) => [
        s('line', { class: 'lane', x1: x, x2: x, y1: 50, y2: height - 8 }),
        s('rect', { class: `box ${name}`, x: x - 60, y: 12, width: 120, height: 36, rx: 9 }),
        s('text', { class: `name ${name}`, x, y: 35, 'text-anchor': 'middle' }, name === 'caller' ? 'you' : name),
      ]),
      steps.map((step, index) => draw(step, TOP + ROW * index)),
      final ? null : s('circle', { class: 'beat', cx: LANE[waits ? 'order' : order.status === 'pending' ? 'inventory' : 'order'], cy: TOP + ROW * steps.length + 6, r: 6 }))),
    view.session.ops ? null : h('p', { class: 'soft' }, 'With the scope ops you would see all three services.'));
}

const MOVES = {
  'order.created': ['order', ['inventory']],
  'inventory.reserved': ['inventory', ['order']],
  'inventory.rejected': ['inventory', ['order']],
  'order.confirmed': ['order', ['inventory', 'email']],
  'order.cancelled': ['order', ['inventory', 'email']],
};

/// The steps, each with its time since the order was placed.
function story(entry) {
  const begin = Date.parse(entry.items[0]?.at ?? entry.order.created_at);
  const steps = [{ from: 'caller', to: ['order'], text: 'POST /v1/orders', after: 0 }, { from: 'order', to: ['caller'], text: `201 after ${span(entry.answered)}`, answer: true }];
  for (const item of entry.items) {
    const after = (Date.parse(item.at) - begin) / 1000;
    const move = item.kind === 'event' ? MOVES[item.detail] : undefined;
    const detail = item.kind === 'event' ? item.detail : item.kind === 'payment' ? `payment ${item.detail.split(': ').pop()}` : item.kind.replaceAll('-', ' ');
    steps.push(move ? { from: move[0], to: move[1], text: detail, after, reached: item.consumers } : { at: item.service, text: detail, after, mail: item.kind === 'mail-sent' });
  }
  return steps;
}

function draw({ from, to, at, text, after, answer, reached, mail }, y) {
  const time = after === undefined ? null : s('text', { class: 'note', x: 884, y: y + 4, 'text-anchor': 'end' }, after === 0 ? '' : `+${span(after)}`);
  if (at) {
    return s('g', { class: `step ${at}`, key: text + y }, s('circle', { class: `dot ${at}`, cx: LANE[at], cy: y, r: 5 }), s('text', { class: 'type', x: LANE[at] + 12, y: y + 4 }, mail ? `${text} ✓` : text), time);
  }
  const ends = to.map((name) => LANE[name]);
  const far = ends.reduce((best, x) => (Math.abs(x - LANE[from]) > Math.abs(best - LANE[from]) ? x : best));
  const near = ends.reduce((best, x) => (Math.abs(x - LANE[from]) < Math.abs(best - LANE[from]) ? x : best));
  const done = (name) => reached?.find(({ service }) => service === name)?.state === 'done';
  return s('g', { class: `step ${from} ${answer ? 'answer' : ''}`, key: text + y },
    s('path', { class: 'arrow', d: `M${LANE[from]} ${y}H${far}`, 'marker-end': 'url(#tip)', pathLength: '1' }),
    s('circle', { class: `dot ${from}`, cx: LANE[from], cy: y, r: 4 }),
    to.filter((name) => LANE[name] !== far).map((name) => s('circle', { class: `stop ${done(name) ? 'done' : ''}`, cx: LANE[name], cy: y, r: 5 })),
    s('text', { class: 'type', x: (LANE[from] + near) / 2, y: y - 6, 'text-anchor': 'middle' }, text), time);
}
