// What no service could handle, in groups; the actions under way; who did what.

import { h } from '../dom.js';
import { code } from './overview.js';
import { discard, follow, journal, replay, runCard } from '../runs.js';
import { empty, failure, number, service, waiting, when } from '../words.js';

/// What an error kind means, and what helps.
export const KINDS = {
  'transient-exhausted': 'Every attempt failed. Repair the cause, then replay.',
  'unknown-type': 'No running copy of the service knows this type. Deploy a newer one, then replay.',
  'unsupported-version': 'No running copy of the service knows this version. Deploy a newer one, then replay.',
  malformed: 'A field is missing or wrong. Correct the producer; edit the body, or discard.',
  rejected: 'The handler said that this can never succeed. Understand why; as a rule, discard.',
  'crashed-consumer': 'Handling it ended the process again and again. Repair the service, then replay by canary.',
  'too-large': 'Larger than 256 KiB. Correct the producer; discard.',
};

export function deadLetters(view) {
  const state = { groups: {}, runs: {}, log: {}, tab: view.query.get('tab') ?? 'groups' };
  const tab = () => (state.tab === 'log' ? view.fetch(state.log, 'dead-letters/log') : view.fetch(state.groups, 'dead-letters/groups'));
  const choose = (name) => { state.tab = name; tab(); view.redraw(); };
  if (!view.session.ops) return view.draw(() => refused(view));
  tab();
  const again = follow(view, state.runs, tab);
  view.live();
  const begin = async (started) => {
    if (!(await started)) return;
    Object.assign(state.runs, { at: undefined, begun: true });
    again();
  };

  view.draw(() => {
    const busy = state.runs.value?.some((run) => run.under_way);
    const waitingNow = Object.values(view.feed.now?.queues ?? {}).reduce((sum, { dead }) => sum + dead, 0);
    const counted = state.groups.value?.count;
    return [
      h('div', { class: 'head' },
        h('div', null, h('h1', null, 'Dead letters'), h('p', { class: 'soft' }, 'Messages that no service could handle. They wait here for your decision; nobody else touches them.')),
        h('div', { class: 'buttons' },
          h('button', { type: 'button', onclick: tab }, 'Look again'),
          h('button', { type: 'button', class: 'primary', disabled: busy || !(counted ?? waitingNow), onclick: () => begin(replay({}, 'all dead letters')) }, 'Replay all …'))),
      runs(state.runs.value, again),
      h('div', { class: 'tabs', role: 'tablist', 'aria-label': 'Dead letters' }, [['groups', 'Groups'], ['log', 'Journal']].map(([name, words]) =>
        h('button', { type: 'button', role: 'tab', id: `tab-${name}`, 'aria-selected': String(state.tab === name), 'aria-controls': 'tab-panel', tabindex: state.tab === name ? '0' : '-1', onclick: () => choose(name),
          onkeydown: (event) => { if (/^Arrow(Left|Right)$/.test(event.key)) { choose(name === 'groups' ? 'log' : 'groups'); queueMicrotask(() => document.getElementById(`tab-${state.tab}`).focus()); } } }, words))),
      h('div', { id: 'tab-panel', role: 'tabpanel', 'aria-labelledby': `tab-${state.tab}`, class: 'stack' },
        state.tab === 'log' ? log(state.log, tab) : groups(state, { busy, waitingNow, counted, tab, begin })),
    ];
  });
}

/// For tokens that are no operator's.
export function refused(view) {
  return [h('h1', null, 'Dead letters'), view.session.verified
    ? empty('For operators', 'Bodies of messages hold names and addresses. Sign in with a token that has the scope ops.')
    : empty('Nobody can tell whether you are an operator', 'No service answers. `warren dlq` works with the broker alone.')];
}

function runs(all, again) {
  const shown = (all ?? []).filter((run) => run.under_way || Date.now() - Date.parse(run.ended.at) < 600000).slice(0, 5);
  return shown.length ? h('section', { 'aria-label': 'Actions', class: 'stack' }, shown.map((run) => runCard(run, again))) : null;
}

function log({ value, error }, again) {
  if (!value) return error ? failure(error, again) : waiting();
  return value.items.length ? journal(value.items) : empty('Nobody has done anything yet', 'Each replay, edit and discard leaves a line before it changes anything, and one when it has ended.');
}

function groups({ groups: { value, error } }, { busy, waitingNow, counted, tab, begin }) {
  if (!value) return error && !busy ? failure(error, tab) : waiting();
  return [
    error && !busy ? failure(error, tab) : null,
    waitingNow !== counted && !busy ? h('p', { class: 'notice' }, `The broker counts ${number(waitingNow)} now. `, h('button', { type: 'button', class: 'link', onclick: tab }, 'Look again')) : null,
    value.groups.length === 0 ? empty('Nothing is dead', 'Every message has been handled, or is on its way.') : h('div', { class: 'cards' }, value.groups.map((group) => card(group, busy, begin))),
  ];
}

function card(group, busy, begin) {
  return h('article', { class: 'card group', key: group.group },
    h('div', { class: 'row spread' },
      h('h2', null, h('a', { href: `/dead-letters/groups/${group.group}` }, h('span', { class: 'count' }, number(group.count)), ' ', h('code', null, group.type))),
      service(group.queue)),
    h('p', null, h('strong', null, group.error_kind), ' in ', h('code', null, group.handler)),
    h('p', { class: 'soft' }, code(KINDS[group.error_kind] ?? '')),
    h('dl', { class: 'facts inline' }, h('div', null, h('dt', null, 'first'), h('dd', null, when(group.first_failed_at))), h('div', null, h('dt', null, 'last'), h('dd', null, when(group.last_failed_at))), h('div', null, h('dt', null, 'group'), h('dd', null, h('code', null, group.group)))),
    h('div', { class: 'buttons' },
      h('a', { class: 'button', href: `/dead-letters/groups/${group.group}` }, 'Look inside'),
      h('button', { type: 'button', disabled: busy, onclick: () => begin(replay({ group: group.group }, `group ${group.group}`)) }, 'Replay …'),
      h('button', { type: 'button', class: 'danger', disabled: busy || group.count > group.ids.length, title: group.count > group.ids.length ? 'More than is discarded at once here: warren dlq discard' : undefined, onclick: () => begin(discard(group.ids, group.queue, `${group.count} ${group.count === 1 ? 'letter' : 'letters'}`)) }, 'Discard …')));
}
