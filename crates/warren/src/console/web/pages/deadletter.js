// One dead letter: why it is dead, its headers and its body.

import { h } from '../dom.js';
import { query } from '../api.js';
import { code } from './overview.js';
import { KINDS, refused } from './deadletters.js';
import { discard, edit, follow, replay, runCard } from '../runs.js';
import { copy, empty, failure, service, waiting, when } from '../words.js';

export function deadLetter(view) {
  const [letterId] = view.path;
  const state = { found: {}, runs: {} };
  if (!view.session.ops) return view.draw(() => refused(view));
  const load = () => view.fetch(state.found, `dead-letters/letters/${encodeURIComponent(letterId)}${query({ queue: view.query.get('queue') })}`);
  load();
  const again = follow(view, state.runs, load);
  const begin = async (started) => {
    if (!(await started)) return;
    Object.assign(state.runs, { at: undefined, begun: true });
    again();
  };
  view.draw(() => {
    const { value, error } = state.found;
    const runs = state.runs.value ?? [];
    const busy = runs.some((run) => run.under_way);
    const crumb = h('p', { class: 'crumb' }, h('a', { href: '/dead-letters' }, 'Dead letters'));
    const shown = runs.filter((run) => run.under_way || Date.now() - Date.parse(run.ended.at) < 120000).slice(0, 3).map((run) => runCard(run, again));
    if (error?.status === 404) return [crumb, h('h1', null, 'Dead letter'), shown, empty('It is not here any more', 'It was replayed or discarded.')];
    if (!value) return [crumb, h('h1', null, 'Dead letter'), shown, error && !busy ? failure(error, load) : waiting()];
    return [crumb, shown, value.letters.map((letter, at) => one(letter, at, busy, begin))];
  });
}

function one(letter, at, busy, begin) {
  const order = letter.body?.data?.order_id;
  const facts = [
    ['Error', h('span', { class: 'breaks' }, code(letter.error))],
    ['Handler', h('code', null, letter.handler)],
    ['Attempts', letter.attempt],
    ['First failed', when(letter.first_failed_at)],
    ['Last failed', when(letter.failed_at)],
    ['On host', letter.failed_host],
    ['Routing key', h('code', null, letter.original_routing_key)],
    ['Group', h('a', { href: `/dead-letters/groups/${letter.group}` }, h('code', null, letter.group))],
    order ? ['Order', h('a', { href: `/orders/${order}` }, h('code', null, order))] : null,
    letter.replay ? ['Failed again in', h('code', null, letter.replay)] : null,
  ].filter(Boolean);
  const named = (pairs) => h('dl', { class: 'facts' }, Object.entries(pairs).map(([name, value]) => h('div', { key: name }, h('dt', null, name), h('dd', { class: 'breaks' }, value))));
  return h('article', { key: `${letter.queue}${at}`, class: 'stack' },
    h('div', { class: 'head' },
      h('div', null, h('h1', null, h('code', null, letter.type)), h('p', { class: 'row' }, service(letter.queue), h('strong', null, letter.error_kind), h('code', { class: 'soft breaks' }, letter.id), copy(letter.id))),
      h('div', { class: 'buttons' },
        h('button', { type: 'button', class: 'primary', disabled: busy, onclick: () => begin(replay({ ids: [letter.id], queue: letter.queue }, 'this letter')) }, 'Replay …'),
        h('button', { type: 'button', disabled: busy, onclick: () => begin(edit(letter)) }, 'Edit …'),
        h('button', { type: 'button', class: 'danger', disabled: busy, onclick: () => begin(discard([letter.id], letter.queue, 'this letter')) }, 'Discard …'))),
    h('p', { class: 'notice' }, KINDS[letter.error_kind] ?? ''),
    h('div', { class: 'columns' },
      h('div', null,
        h('section', { class: 'panel', 'aria-label': 'Why it is dead' }, h('h2', null, 'Why it is dead'), h('dl', { class: 'facts' }, facts.map(([name, value]) => h('div', { key: name }, h('dt', null, name), h('dd', null, value))))),
        h('section', { class: 'panel', 'aria-label': 'Properties' }, h('h2', null, 'Properties'), named(letter.properties)),
        h('section', { class: 'panel', 'aria-label': 'Headers' }, h('h2', null, 'Headers'), named(letter.headers))),
      h('section', { class: 'panel', 'aria-label': 'Body' }, h('h2', { class: 'row spread' }, 'Body', h('span', { class: 'soft small' }, `${letter.size} bytes`)),
        letter.body === null ? h('p', { class: 'notice bad' }, 'It is no JSON.') : null,
        h('pre', { tabindex: '0', class: 'body' }, letter.body === null ? letter.body_text : JSON.stringify(letter.body, null, 2)))));
}
