// The log of mails, and what they look like.

import { h } from '../dom.js';
import { get, query } from '../api.js';
import { clock, empty, failure, id, pill, waiting, when } from '../words.js';

const STATUSES = ['queued', 'sent', 'in-doubt', 'failed'];
const WORDS = { queued: 'pending', sent: 'good', 'in-doubt': 'warn', failed: 'bad' };

export function mails(view) {
  const filter = { status: view.query.get('status') ?? '', order: view.query.get('order') ?? '' };
  const state = { pages: 1, order: filter.order, chosen: view.query.get('mail') ?? undefined };
  const address = (changes) => `/mails${query({ ...filter, ...changes })}`;
  const load = view.every(3000, async () => {
    try {
      const items = [];
      let cursor;
      for (let page = 0; page < state.pages; page += 1) {
        const found = await get(`s/email/v1/emails${query({ status: filter.status, order_id: filter.order, limit: 50, cursor })}`, { signal: view.signal });
        items.push(...found.items);
        cursor = found.next_cursor;
        if (!cursor) break;
      }
      state.items = items;
      state.more = Boolean(cursor);
      state.error = undefined;
      if (!state.chosen && matchMedia('(min-width: 70rem)').matches) state.chosen = items[0]?.id;
    } catch (error) {
      if (error.name !== 'AbortError') state.error = error;
    }
    view.redraw();
  });
  const choose = (mail) => {
    state.chosen = mail.id;
    view.redraw();
    if (!matchMedia('(min-width: 70rem)').matches) setTimeout(() => document.getElementById('preview')?.scrollIntoView({ behavior: 'smooth' }));
  };
  const search = (event) => {
    event.preventDefault();
    view.navigate(address({ order: event.target.elements.order.value.trim() }), { replace: true });
  };

  view.draw(() => [
    h('div', { class: 'head' }, h('div', null, h('h1', null, 'Mails'), h('p', { class: 'soft' }, 'Newest first. Addresses are masked, here as everywhere.'))),
    h('div', { class: 'filters' },
      h('form', { role: 'search', onsubmit: search }, h('label', { for: 'order', class: 'unseen' }, 'Order'), h('input', { id: 'order', name: 'order', type: 'search', placeholder: 'Id of an order', value: state.order, oninput: ({ target }) => { state.order = target.value; }, autocomplete: 'off' }), h('button', { type: 'submit' }, 'Search')),
      h('nav', { class: 'chips', 'aria-label': 'Status' }, h('a', { class: 'chip', href: address({ status: '' }), 'aria-current': filter.status ? undefined : 'true' }, 'All'),
        STATUSES.map((status) => h('a', { class: 'chip', href: address({ status }), 'aria-current': filter.status === status ? 'true' : undefined }, status)))),
    state.error ? failure(state.error, load) : null,
    !state.items ? (state.error ? null : waiting()) : state.items.length === 0 ? empty('No mails', 'None fits what you have chosen.') : h('div', { class: 'split' },
      h('div', null,
        h('ul', { class: 'mails panel flush' }, state.items.map((mail) => h('li', { key: mail.id },
          h('button', { type: 'button', 'aria-pressed': String(state.chosen === mail.id), onclick: () => choose(mail) },
            h('span', { class: 'row spread' }, h('strong', null, mail.template), pill(WORDS[mail.status], mail.status)),
            h('span', { class: 'row spread' }, h('span', null, mail.recipient ?? 'recipient not known yet'), h('span', { class: 'soft small' }, when(mail.created_at))),
            mail.error ? h('span', { class: 'small bad-text breaks' }, mail.error) : null)))),
        state.more ? h('p', { class: 'center' }, h('button', { type: 'button', onclick: () => { state.pages += 1; load(); } }, 'Show more')) : null),
      preview(state.items.find((mail) => mail.id === state.chosen))),
  ]);
}

function preview(mail) {
  if (!mail) return h('section', { class: 'panel preview', id: 'preview', 'aria-label': 'Preview' }, empty('Choose a mail', 'It is shown here as it was sent.'));
  const fact = (name, value) => h('div', { key: name }, h('dt', null, name), h('dd', { class: 'breaks' }, value));
  return h('section', { class: 'panel preview', id: 'preview', 'aria-label': 'Preview', key: mail.id },
    h('h2', { class: 'row spread' }, mail.template, pill(WORDS[mail.status], mail.status)),
    h('dl', { class: 'facts' },
      fact('To', mail.recipient ?? 'not known yet'),
      mail.order_id ? fact('Order', id(mail.order_id, `/orders/${mail.order_id}`)) : null,
      mail.customer_id ? fact('Customer', id(mail.customer_id, `/orders?customer=${mail.customer_id}`)) : null,
      fact('Queued', clock(mail.created_at, { ms: true })),
      mail.sent_at ? fact('Sent', `${clock(mail.sent_at, { ms: true })}, attempt ${mail.attempts}`) : fact('Attempts', mail.attempts),
      fact('Message-ID', h('code', { class: 'small' }, mail.message_id)),
      mail.error ? fact('Error', mail.error) : null),
    h('iframe', { class: 'letter', title: `The mail ${mail.template}`, sandbox: '', referrerpolicy: 'no-referrer', loading: 'lazy', src: `/api/s/email/v1/emails/${mail.id}/preview` }));
}
