// What is wrong now, then how much there is of everything, and how that went.

import { h } from '../dom.js';
import { Chart, sparkline } from '../chart.js';
import { SERVICES, ago, clock, icon, number, pill, service, span, waiting } from '../words.js';

const SPAN = { minutes: 15 * 60000, day: 24 * 3600000 };
const of = (name, label) => SERVICES.map((each) => ({ name: `${name}_${each}`, label: label ?? each, colour: each }));

export function overview(view) {
  const { feed } = view;
  const charts = [
    new Chart({ title: 'Orders per second', series: [{ name: 'placed_per_second', label: 'placed', colour: 'one' }, { name: 'completed_per_second', label: 'ended', colour: 'two' }] }),
    new Chart({ title: 'Messages in the queues', series: of('depth').map((line, at) => ({ ...line, label: SERVICES[at] })) }),
    new Chart({ title: 'Age of messages when handled', note: '95 of 100 are younger', format: span, series: of('age').map((line, at) => ({ ...line, label: SERVICES[at] })) }),
    new Chart({ title: 'Events not published yet', series: [{ name: 'outbox_order', label: 'order', colour: 'order' }, { name: 'outbox_inventory', label: 'inventory', colour: 'inventory' }] }),
    new Chart({ title: 'From placing to the end of an order', note: '95 of 100 are quicker', format: span, series: [{ name: 'completion_p95', label: 'p95', colour: 'one' }] }),
    new Chart({ title: 'Mails per second', series: [{ name: 'mails_per_second', label: 'sent', colour: 'email' }] }),
  ];
  view.draw(() => {
    const now = feed.now;
    if (!now?.at) return [h('h1', { class: 'unseen' }, 'Overview'), waiting()];
    const known = (feed.history.at.at(-1) ?? 0) - (feed.history.at[0] ?? 0);
    const shown = Math.min(SPAN[feed.range], Math.max(SPAN[feed.range] / 8, known));
    charts.forEach((chart) => chart.update(feed.history, shown));
    return [
      head(feed),
      wrongNow(now, feed.ok),
      tiles(now, feed.history),
      h('section', { class: 'panel', 'aria-labelledby': 'queues-title' }, h('h2', { id: 'queues-title' }, 'Queues'), queues(now, feed.history)),
      h('section', { 'aria-label': 'History', class: 'charts' }, charts.map((chart) => h('div', { class: 'panel', hold: chart, key: chart.title }))),
      h('section', { 'aria-labelledby': 'services-title' }, h('h2', { id: 'services-title' }, 'Services'), h('div', { class: 'cards three' }, now.services.map(serviceCard))),
    ];
  });
  view.live();
}

function head(feed) {
  const choice = (range, name) => h('button', { type: 'button', 'aria-pressed': String(feed.range === range), onclick: () => feed.choose(range) }, name);
  return h('div', { class: 'head' },
    h('div', null, h('h1', null, 'Overview'), h('p', { class: 'soft' }, feed.ok ? `Looked at ${ago(feed.now.at)}` : 'The console does not answer; these are the last figures.')),
    h('div', { class: 'segments', role: 'group', 'aria-label': 'History' }, choice('minutes', '15 minutes'), choice('day', '24 hours')));
}

function wrongNow(now, ok) {
  if (!ok) return h('section', { class: 'wrong urgent', 'aria-label': 'What is wrong now' }, icon('warn'), h('div', null, h('h2', null, 'The console does not answer'), h('p', null, 'What you see is what was last known. It is asked again every two seconds.')));
  if (!now.wrong.length) {
    return h('section', { class: 'calm', 'aria-label': 'What is wrong now' }, icon('good'), h('div', null, h('h2', null, 'All is well'), h('p', null, 'Every service answers and is ready, every queue has its consumer, nothing waits for anybody.')));
  }
  return h('section', { 'aria-label': 'What is wrong now', class: 'wrongs' }, now.wrong.map((wrong) =>
    h('article', { key: wrong.key, class: `wrong ${wrong.urgent ? 'urgent' : 'later'} ${wrong.follows ? 'follows' : ''}` }, icon('warn'),
      h('div', null,
        h('h2', null, wrong.title, h('span', { class: 'since' }, `since ${clock(wrong.since)}, for ${span((Date.now() - Date.parse(wrong.since)) / 1000)}`)),
        h('p', null, code(wrong.detail)),
        wrong.follows ? h('p', { class: 'helps' }, h('strong', null, 'Follows from: '), wrong.follows)
          : wrong.helps ? h('p', { class: 'helps' }, h('strong', null, 'What helps: '), code(wrong.helps)) : null),
      h('div', { class: 'links' },
        wrong.page ? h('a', { class: 'button', href: wrong.page }, 'Show') : null,
        h('a', { href: `/runbooks/${wrong.runbook}` }, 'Runbook')))));
}

/// `words` in backticks as code.
export function code(text) {
  return text.split('`').map((part, index) => (index % 2 ? h('code', null, part) : part));
}

function tiles(now, history) {
  const last = (name) => history[name]?.at(-1);
  const order = now.services.find(({ service: name }) => name === 'order');
  const statuses = order?.orders ?? {};
  const dead = Object.values(now.queues).reduce((sum, { dead: count }) => sum + count, 0);
  const outbox = now.services.reduce((sum, { outbox: count }) => sum + (count ?? 0), 0);
  const tile = (name, value, more, to, kind = '') => h(to ? 'a' : 'div', { class: `tile ${kind}`, href: to }, h('span', { class: 'label' }, name), h('strong', null, value), h('span', { class: 'more' }, more));
  return h('section', { class: 'tiles', 'aria-label': 'In short' },
    tile('Orders per second', number(last('placed_per_second')), `${number(last('completed_per_second'))} ended`, '/orders'),
    tile('On their way', order?.answers ? number((statuses.pending ?? 0) + (statuses.reserved ?? 0)) : '–', `${number(statuses.pending ?? null)} pending, ${number(statuses.reserved ?? null)} reserved`, '/orders?status=pending'),
    tile('Confirmed', number(statuses.confirmed ?? null), `${number(statuses.cancelled ?? null)} cancelled`, '/orders?status=confirmed'),
    tile('Too long', number(order?.stuck ?? null), 'orders that wait', '/orders?view=stuck', order?.stuck > 0 ? 'bad' : ''),
    tile('Dead letters', number(dead), 'wait for somebody', '/dead-letters', dead > 0 ? 'warn' : ''),
    tile('To be published', number(outbox), `the oldest ${span(last('oldest'))}`, undefined, last('oldest') > 10 ? 'bad' : ''));
}

function queues(now, history) {
  const row = (name) => {
    const queue = now.queues[name];
    if (!queue) return h('tr', null, h('th', { scope: 'row' }, service(name)), h('td', { colspan: '7', class: 'soft' }, 'Nobody tells.'));
    const cell = (label, value, kind = '') => h('td', { 'data-label': label, class: kind }, value);
    return h('tr', null,
      h('th', { scope: 'row' }, service(name)),
      cell('Waiting', queue.queued === null ? 'no queue' : number(queue.queued), queue.queued === null ? 'num bad' : 'num strong'),
      h('td', { class: 'spark', 'data-label': 'History' }, sparkline(history[`depth_${name}`] ?? [], name, `Messages waiting in ${name}`)),
      cell('Not empty for', queue.waiting_seconds ? span(queue.waiting_seconds) : '–', 'num'),
      cell('Age (p95)', span(queue.age_p95), 'num'),
      cell('Retrying', number(queue.retrying), queue.retrying ? 'num warn' : 'num'),
      cell('Dead', queue.dead ? h('a', { href: '/dead-letters' }, number(queue.dead)) : '0', queue.dead ? 'num warn' : 'num'),
      cell('Consumers', number(queue.consumers), queue.consumers ? 'num' : 'num bad'));
  };
  return h('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Queues' }, h('table', { class: 'stacks tight' },
    h('thead', null, h('tr', null, ['Queue', 'Waiting', 'History', 'Not empty for', 'Age (p95)', 'Retrying', 'Dead', 'Consumers'].map((name, at) => h('th', { scope: 'col', class: at > 0 && at !== 2 ? 'num' : '' }, name)))),
    h('tbody', null, SERVICES.map(row))));
}

const BREAKERS = ['closed', 'probing', 'open'];

function serviceCard(each) {
  if (!each.answers) {
    return h('article', { class: 'card bad', key: each.service }, h('h3', null, service(each.service), pill('bad', 'does not answer')), h('p', { class: 'soft breaks' }, each.error));
  }
  const wrong = Object.entries(each.not_ready);
  const facts = [
    ...wrong.map(([check, why]) => [check, why, 'bad']),
    ...Object.entries(each.breakers).map(([name, state]) => [`breaker ${name}`, BREAKERS[state] ?? state, state > 0 ? 'bad' : '']),
    ['to be published', each.service === 'email' ? null : `${number(each.outbox)}${each.outbox ? `, oldest ${span(each.oldest)}` : ''}`],
    ...Object.entries(each.projections).map(([name, behind]) => [`read model ${name}`, behind ? `${number(behind)} behind` : 'up to date', behind > 1000 ? 'bad' : '']),
    ...Object.entries(each.drift).map(([check, count]) => [`books: ${check}`, count ? `${count} wrong` : 'agree', count ? 'bad' : '']),
    ['requests (p95)', span(each.latency_p95)],
    ...(Object.keys(each.mails).length ? [['mails', Object.entries(each.mails).map(([outcome, count]) => `${number(count)} ${outcome}`).join(', ')]] : []),
  ];
  return h('article', { class: `card ${wrong.length ? 'bad' : ''}`, key: each.service },
    h('h3', null, service(each.service), wrong.length ? pill('bad', 'not ready') : pill('good', 'ready')),
    h('dl', { class: 'facts even' }, facts.filter(([, value]) => value !== null).map(([name, value, kind]) => h('div', { class: kind }, h('dt', null, name), h('dd', null, value)))));
}
