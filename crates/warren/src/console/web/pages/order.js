// One order: where it stands, how it came there, and what it was at any moment.

import { h } from '../dom.js';
import { get, order as send } from '../api.js';
import { ask, toast } from '../dom.js';
import { clock, copy, empty, failure, full, id, money, pill, service, span, waiting, when } from '../words.js';
import { saga } from '../saga.js';
import { timeline } from '../timeline.js';

export function order(view) {
  const [orderId] = view.path;
  const state = { now: {}, trace: {}, events: {}, mails: {}, held: {}, then: {}, version: undefined };
  const path = encodeURIComponent(orderId);
  const load = () => Promise.all([
    view.fetch(state.now, `s/order/v1/orders/${path}`),
    view.fetch(state.events, `s/order/v1/orders/${path}/events`),
    view.session.ops ? view.fetch(state.trace, `trace/${path}`) : undefined,
    view.fetch(state.mails, `s/email/v1/emails?order_id=${path}`),
    view.fetch(state.held, `s/inventory/v1/reservations/${path}`),
  ]);
  const again = view.every(4000, load);

  watch(view, path, again);

  const choose = async (version) => {
    state.version = version;
    state.then = {};
    view.redraw();
    if (version === undefined) return;
    const place = state.then;
    await view.fetch(place, `s/order/v1/orders/${path}?version=${version}`);
  };

  const act = async (name, what, body) => {
    try {
      await send(what, body);
      toast(name);
    } catch (error) {
      toast(error.message, 'bad');
    }
    again();
  };
  const nudge = async () => {
    try {
      const answer = await send(`s/order/v1/ops/orders/${path}/nudge`, {});
      toast(answer.waits_for ? `Nudged: what it waits for (${answer.waits_for}) is asked for again.` : 'It waits for nothing; nothing was done.');
    } catch (error) {
      toast(error.message, 'bad');
    }
    again();
  };
  const cancel = async () => {
    const note = await ask('Cancel this order?', (close) => h('form', { onsubmit: (event) => { event.preventDefault(); close(event.target.elements.note.value.trim()); } },
      h('p', null, 'Its stock and its money come back by themselves. The customer gets a mail. This cannot be undone.'),
      h('label', { for: 'note' }, 'Note (optional)'), h('textarea', { id: 'note', name: 'note', rows: '3', maxlength: '500', autofocus: true }),
      h('div', { class: 'buttons' }, h('button', { type: 'button', onclick: () => close() }, 'Keep it'), h('button', { type: 'submit', class: 'danger' }, 'Cancel the order'))));
    if (note !== undefined) await act('Cancelled.', `s/order/v1/orders/${path}/cancel`, note ? { reason: note } : {});
  };

  view.draw(() => {
    const now = state.now.value;
    const back = h('p', { class: 'crumb' }, h('a', { href: '/orders' }, 'Orders'));
    if (!now) {
      if (!state.now.error) return [back, h('h1', null, 'Order ', h('code', null, orderId)), waiting()];
      if (state.now.error.status === 404) return [back, h('h1', { class: 'unseen' }, 'Order'), empty('There is no such order', orderId)];
      return [back, h('h1', null, 'Order ', h('code', null, orderId)), failure(state.now.error, again), traced(state, view)];
    }
    const shown = state.version === undefined ? now : state.then.value ?? now;
    const can = (scope) => view.session.scopes.includes(scope);
    return [
      back,
      h('div', { class: 'head' },
        h('div', null,
          h('h1', { class: 'order-title' }, 'Order ', h('code', null, now.id), copy(now.id)),
          h('p', { class: 'row' }, pill(now.status), now.cancel_reason ? h('span', null, now.cancel_reason) : null, h('span', { class: 'soft' }, 'placed ', when(now.created_at), ', changed ', when(now.updated_at)))),
        h('div', { class: 'buttons' },
          h('button', { type: 'button', onclick: nudge, disabled: !can('ops'), title: can('ops') ? 'Repeats the step that it waits for' : 'Needs the scope ops' }, 'Nudge'),
          h('button', { type: 'button', class: 'danger', onclick: cancel, disabled: now.status === 'cancelled' || !can('orders:write') }, 'Cancel …'))),
      state.now.error ? failure(state.now.error, again) : null,
      open(state),
      h('div', { class: 'columns' },
        h('div', null,
          h('section', { class: 'panel', 'aria-labelledby': 'saga-title' }, h('h2', { id: 'saga-title' }, 'Where it stands'), h('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'States' }, saga(shown, state.events.value?.items ?? []))),
          slider(state, now, choose),
          h('section', { class: 'panel', 'aria-labelledby': 'what-title' }, h('h2', { id: 'what-title' }, state.version === undefined ? 'What it is' : `What it was in version ${state.version}`),
            state.then.error ? failure(state.then.error) : details(shown, now))),
        h('div', null, traced(state, view))),
      h('div', { class: 'cards three' }, aside(state, now, view)),
    ];
  });
}

/// Each event of the order is a reason to look at once. A browser has six connections to a host, all its windows together, and
/// a stream takes one of them: it is closed where nobody looks. After the order was cancelled only a refund comes, for which
/// looking by the clock is enough.
function watch(view, path, look) {
  let stream;
  let ended = false;
  const close = () => { stream?.close(); stream = undefined; };
  const follow = () => {
    if (document.hidden || ended) return close();
    if (stream) return;
    stream = new EventSource(`/api/s/order/v1/orders/${path}/stream`);
    for (const type of ['order.created', 'order.reserved', 'order.confirmed', 'payment.completed', 'payment.failed', 'payment.refunded']) stream.addEventListener(type, () => look());
    stream.addEventListener('order.cancelled', () => { ended = true; close(); look(); });
    stream.onerror = ({ target }) => target.readyState === EventSource.CONNECTING || target.close();
  };
  document.addEventListener('visibilitychange', follow);
  view.finally(() => { document.removeEventListener('visibilitychange', follow); ended = true; close(); });
  follow();
}

function open({ trace: { value } }) {
  if (!value?.open.length) return null;
  return h('section', { class: 'wrong later', 'aria-label': 'What is open' }, h('div', null, h('h2', null, 'Still open'), h('ul', null, value.open.map((line) => h('li', { key: line }, line)))));
}

function slider(state, now, choose) {
  const events = state.events.value?.items ?? [];
  const at = state.version ?? now.version;
  const event = events.find(({ sequence }) => Number(sequence) === at);
  const step = (by) => { const next = Math.min(now.version, Math.max(1, at + by)); choose(next === now.version ? undefined : next); };
  return h('section', { class: 'panel', 'aria-labelledby': 'time-title' },
    h('h2', { id: 'time-title' }, 'Back in time'),
    h('div', { class: 'slider' },
      h('button', { type: 'button', 'aria-label': 'Earlier', disabled: at <= 1, onclick: () => step(-1) }, '‹'),
      h('input', { type: 'range', min: '1', max: String(now.version), step: '1', value: String(at), 'aria-label': 'Version', 'aria-valuetext': `version ${at}${event ? `, after ${event.type}` : ''}`, disabled: now.version === 1,
        oninput: ({ target }) => choose(Number(target.value) === now.version ? undefined : Number(target.value)) }),
      h('button', { type: 'button', 'aria-label': 'Later', disabled: at >= now.version, onclick: () => step(1) }, '›')),
    h('p', { class: 'row spread' },
      h('span', null, h('strong', null, `Version ${at}`), ` of ${now.version}`, event ? [' after ', h('code', null, event.type)] : null),
      event ? h('time', { datetime: event.time, class: 'soft', title: full(event.time) }, clock(event.time, { ms: true })) : null));
}

function details(shown, now) {
  const fact = (name, value, before) => h('div', { class: before === undefined || before === value ? '' : 'differs' }, h('dt', null, name), h('dd', null, value, before !== undefined && before !== value ? h('span', { class: 'soft small' }, ` now ${before}`) : null));
  const { payment } = shown;
  return [
    h('dl', { class: 'facts' },
      fact('Status', shown.status, now.status),
      fact('Total', money(shown.total)),
      fact('Payment', `${payment.method}, ${payment.status}`, `${now.payment.method}, ${now.payment.status}`),
      payment.payment_id ? fact('Payment id', h('code', { class: 'breaks' }, payment.payment_id)) : null,
      shown.cancel_reason ? fact('Cancelled because', shown.cancel_reason) : null,
      shown.cancel_note ? fact('Note', shown.cancel_note) : null),
    h('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Lines' }, h('table', null,
      h('thead', null, h('tr', null, h('th', { scope: 'col' }, 'Product'), h('th', { scope: 'col', class: 'num' }, 'Quantity'), h('th', { scope: 'col', class: 'num' }, 'Each'), h('th', { scope: 'col', class: 'num' }, 'Together'))),
      h('tbody', null, shown.lines.map(({ sku, name, quantity, unit_price }) => h('tr', { key: sku },
        h('td', null, h('a', { href: `/stock/${encodeURIComponent(sku)}` }, name)), h('td', { class: 'num' }, quantity), h('td', { class: 'num' }, money(unit_price)),
        h('td', { class: 'num' }, money({ ...unit_price, amount: unit_price.amount * quantity }))))))),
  ];
}

function traced(state, view) {
  const { value, error } = state.trace;
  const title = h('h2', { id: 'trace-title' }, 'Its way through all services');
  if (!view.session.ops) {
    const items = (state.events.value?.items ?? []).map(({ time, type, id: event_id }) => ({ at: time, service: 'order', kind: 'event', detail: type, event_id, consumers: [] }));
    return h('section', { class: 'panel', 'aria-labelledby': 'trace-title' }, title, h('p', { class: 'notice' }, 'What the other services know of it is told to tokens with the scope ', h('code', null, 'ops'), '.'), timeline(items, state.events.value?.items));
  }
  return h('section', { class: 'panel', 'aria-labelledby': 'trace-title' }, title,
    value?.silent.map(({ service: name, error: why }) => h('p', { class: 'notice bad', key: name }, service(name), ' does not tell: ', why)),
    error && !value ? failure(error) : value ? timeline(value.items, state.events.value?.items) : waiting());
}

function aside(state, now, view) {
  const { mails, held, customer } = state;
  const showCustomer = async () => {
    state.customer = {};
    await view.fetch(state.customer, `s/order/v1/customers/${now.customer_id}`);
  };
  return [
    h('section', { class: 'panel', 'aria-labelledby': 'mails-title' }, h('h2', { id: 'mails-title' }, 'Mails'),
      mails.error && !mails.value ? failure(mails.error) : !mails.value ? waiting() : mails.value.items.length === 0 ? h('p', { class: 'soft' }, 'None yet.') : h('ul', { class: 'plain' }, mails.value.items.map((mail) =>
        h('li', { key: mail.id, class: 'row spread' }, h('a', { href: `/mails?order=${now.id}&mail=${mail.id}` }, mail.template), h('span', { class: 'row' }, h('span', { class: 'soft small' }, mail.sent_at ? clock(mail.sent_at) : ''), pill(mail.status)))))),
    h('section', { class: 'panel', 'aria-labelledby': 'held-title' }, h('h2', { id: 'held-title' }, 'Stock'),
      held.error && !held.value ? (held.error.status === 404 ? h('p', { class: 'soft' }, 'Nothing was held for it.') : failure(held.error)) : !held.value ? waiting() : [
        h('p', { class: 'row' }, pill(held.value.state), h('span', { class: 'soft' }, 'since ', when(held.value.updated_at))),
        h('ul', { class: 'plain' }, held.value.lines.map(({ sku, quantity }) => h('li', { key: sku }, `${quantity} × `, h('a', { href: `/stock/${encodeURIComponent(sku)}` }, sku))))]),
    h('section', { class: 'panel', 'aria-labelledby': 'customer-title' }, h('h2', { id: 'customer-title' }, 'Customer'),
      h('p', null, id(now.customer_id, `/orders?customer=${now.customer_id}`)),
      customer?.error ? failure(customer.error, showCustomer) : customer?.value ? h('dl', { class: 'facts' },
        [['Name', customer.value.name], ['Email', customer.value.email], ['Orders', customer.value.order_count], ['Bought for', customer.value.totals.map(money).join(', ') || '–']].map(([name, value]) => h('div', { key: name }, h('dt', null, name), h('dd', { class: 'breaks' }, value))))
        : h('button', { type: 'button', onclick: showCustomer }, 'Show name and address')),
  ];
}
