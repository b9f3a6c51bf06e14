// One event: what it says, who reads it, its data in every version.

import { h } from '../dom.js';
import { code } from './overview.js';
import { counts } from './catalogue.js';
import { empty, failure, number, pill, service, waiting } from '../words.js';

export function event(view) {
  const [type] = view.path;
  const state = {};
  const load = () => view.fetch(state, 'catalogue');
  load();
  view.live();
  view.draw(() => {
    const crumb = h('p', { class: 'crumb' }, h('a', { href: '/catalogue' }, 'Catalogue'));
    if (!state.value) return [crumb, h('h1', null, type), state.error ? failure(state.error, load) : waiting()];
    const found = state.value.find((event) => event.type === type);
    if (!found) return [crumb, h('h1', null, type), empty('There is no such event')];
    const live = counts(view.feed.now?.events ?? [])[type] ?? {};
    return [
      crumb,
      h('div', { class: 'head' }, h('div', null, h('h1', null, found.type, ' ', h('span', { class: 'version' }, `v${found.version}`)), h('p', { class: 'lead' }, `It says: ${found.meaning}.`), h('p', { class: 'row' }, h('span', { class: 'soft' }, 'published by'), service(found.publisher)))),
      h('section', { 'aria-labelledby': 'readers-title' }, h('h2', { id: 'readers-title' }, 'Who reads it'),
        found.consumers.length ? h('div', { class: 'cards' }, found.consumers.map((reader) => card(reader, live[reader.service]))) : h('p', { class: 'soft' }, 'Nobody: it is a part of the history of its order.')),
      found.versions.map((version, at) => h('section', { key: version.version, class: 'panel', 'aria-labelledby': `version-${version.version}` },
        h('h2', { id: `version-${version.version}` }, `Version ${version.version}`),
        at > 0 ? h('p', { class: 'soft' }, 'Older producers may still send it, and logs hold it. Readers are given the newest, which is made from it.') : null,
        fields(version.fields),
        h('details', { open: at === 0 }, h('summary', null, 'An example, as it travels'), h('pre', { tabindex: '0' }, JSON.stringify(version.example, null, 2))),
        h('details', null, h('summary', null, 'Its JSON Schema'), h('pre', { tabindex: '0' }, JSON.stringify(version.schema, null, 2))))),
    ];
  });
}

function card({ service: name, purpose, reads }, live) {
  return h('article', { class: 'card', key: name },
    h('h3', { class: 'row spread' }, service(name), live?.failed ? pill('warn', `${number(live.failed)} failed attempts`) : null),
    h('p', null, purpose),
    h('p', { class: 'soft small' }, 'Reads ', reads.map((field, at) => [at ? ', ' : '', h('code', null, field)])),
    h('p', null, h('strong', null, number(live?.all ?? 0)), h('span', { class: 'soft' }, ' handled since it started, '), h('strong', null, number(live?.rate ?? 0)), h('span', { class: 'soft' }, ' per second')));
}

function fields(all) {
  return h('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Fields' }, h('table', { class: 'rows' },
    h('thead', null, h('tr', null, ['Field', 'What it is', 'What it says'].map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', null, all.map((field) => h('tr', { key: field.path },
      h('td', null, h('code', null, field.path), field.required ? null : h('span', { class: 'soft small' }, ' optional')), h('td', null, code(field.type)), h('td', null, code(field.meaning)))))));
}
