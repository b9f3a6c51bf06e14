// The letters of one group.

import { h } from '../dom.js';
import { code } from './overview.js';
import { KINDS, refused } from './deadletters.js';
import { discard, follow, replay, runCard } from '../runs.js';
import { empty, failure, id, number, service, waiting, when } from '../words.js';

export function deadGroup(view) {
  const [name] = view.path;
  const state = { group: {}, runs: {}, chosen: new Set() };
  if (!view.session.ops) return view.draw(() => refused(view));
  const load = () => view.fetch(state.group, `dead-letters/groups/${encodeURIComponent(name)}`);
  load();
  const again = follow(view, state.runs, load);
  const begin = async (started) => {
    if (!(await started)) return;
    state.chosen.clear();
    Object.assign(state.runs, { at: undefined, begun: true });
    again();
  };

  view.draw(() => {
    const { value, error } = state.group;
    const runs = state.runs.value ?? [];
    const busy = runs.some((run) => run.under_way);
    const crumb = h('p', { class: 'crumb' }, h('a', { href: '/dead-letters' }, 'Dead letters'));
    const shown = runs.filter((run) => run.under_way || Date.now() - Date.parse(run.ended.at) < 120000).slice(0, 3).map((run) => runCard(run, again));
    if (!value || error?.status === 404) {
      const gone = error?.status === 404;
      return [crumb, h('h1', null, 'Group ', h('code', null, name)), shown, gone ? empty('Nothing is left of this group', 'Its letters were replayed or discarded.') : error && !busy ? failure(error, load) : waiting()];
    }
    const { group, letters } = value;
    const ids = [...state.chosen];
    const words = ids.length === 1 ? 'this letter' : `${ids.length} letters`;
    return [
      crumb,
      h('div', { class: 'head' },
        h('div', null, h('h1', null, `${number(group.count)} × `, h('code', null, group.type)), h('p', { class: 'row' }, service(group.queue), h('strong', null, group.error_kind), h('span', null, 'in ', h('code', null, group.handler)))),
        h('div', { class: 'buttons' }, h('button', { type: 'button', onclick: load }, 'Look again'), h('button', { type: 'button', class: 'primary', disabled: busy, onclick: () => begin(replay({ group: name }, `group ${name}`)) }, 'Replay all …'))),
      h('p', { class: 'notice' }, KINDS[group.error_kind] ?? 'See the error of each.'),
      shown,
      h('div', { class: 'bar', role: 'group', 'aria-label': 'Chosen letters' },
        h('label', null, h('input', { type: 'checkbox', checked: letters.length > 0 && state.chosen.size === letters.length, onchange: ({ target }) => { state.chosen = new Set(target.checked ? letters.map((letter) => letter.id) : []); view.redraw(); } }), ` All ${letters.length} shown`),
        h('span', { class: 'soft' }, `${state.chosen.size} chosen`),
        h('button', { type: 'button', disabled: busy || !ids.length, onclick: () => begin(replay({ ids, queue: group.queue }, words)) }, 'Replay …'),
        h('button', { type: 'button', class: 'danger', disabled: busy || !ids.length, onclick: () => begin(discard(ids, group.queue, words)) }, 'Discard …')),
      h('ul', { class: 'letters panel flush' }, letters.map((letter) => h('li', { key: letter.id + letter.failed_at },
        h('input', { type: 'checkbox', 'aria-label': `Choose ${letter.id}`, checked: state.chosen.has(letter.id), onchange: ({ target }) => { if (target.checked) state.chosen.add(letter.id); else state.chosen.delete(letter.id); view.redraw(); } }),
        h('div', null, h('p', { class: 'row spread' }, id(letter.id, `/dead-letters/${encodeURIComponent(letter.id)}?queue=${letter.queue}`), h('span', { class: 'soft small' }, `attempt ${letter.attempt}, `, when(letter.failed_at))),
          h('p', { class: 'small breaks' }, code(letter.error), letter.replay ? h('span', { class: 'soft' }, ' (failed again after a replay)') : null))))),
      group.count > letters.length ? h('p', { class: 'soft' }, `The oldest ${letters.length} of ${number(group.count)}.`) : null,
    ];
  });
}
