// What to do about an alert.

import { h } from '../dom.js';
import { markdown } from '../markdown.js';
import { empty, failure, waiting } from '../words.js';

export function runbook(view) {
  const [name] = view.path;
  const state = {};
  const load = () => view.fetch(state, `runbooks/${encodeURIComponent(name)}`);
  load();
  view.draw(() => {
    const crumb = h('p', { class: 'crumb' }, name === 'README' ? h('a', { href: '/' }, 'Overview') : h('a', { href: '/runbooks/README' }, 'All runbooks'));
    if (state.value) return [crumb, h('article', { class: 'prose panel' }, markdown(state.value.text))];
    if (state.error?.status === 404) return [crumb, h('h1', null, 'Runbook'), empty('There is no such runbook', name)];
    return [crumb, h('h1', { class: 'unseen' }, 'Runbook'), state.error ? failure(state.error, load) : waiting()];
  });
}
