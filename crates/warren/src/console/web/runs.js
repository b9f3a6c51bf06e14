// Acting on dead letters: the questions before, and how far an action is.

import { h, ask, toast } from './dom.js';
import { get, post } from './api.js';
import { ago, clock, number, pill, when } from './words.js';

/// What is replayed, in words.
export function about(value) {
  const { selection = value, id, ids } = value ?? {};
  if (id) return `letter ${id}`;
  if (ids) return ids.length === 1 ? `letter ${ids[0]}` : `${ids.length} letters`;
  if (selection === 'all') return 'all dead letters';
  if (selection?.queue) return `all of ${selection.queue}`;
  if (selection?.group) return `group ${selection.group}`;
  if (selection?.ids) return selection.ids.length === 1 ? `letter ${selection.ids[0]}` : `${selection.ids.length} letters`;
  return '';
}

/// Asks how, tries it dry first if asked, and begins. `wish` says which letters.
export async function replay(wish, words) {
  const answer = await ask(`Replay ${words}`, (close) => {
    const say = h('div', { class: 'dry', 'aria-live': 'polite' });
    const dry = async () => {
      say.replaceChildren(h('p', { class: 'soft' }, 'Looking …'));
      try {
        const found = await post('dead-letters/replay', { ...wish, dry_run: true });
        const rows = found.groups.map((group) => h('li', null, `${group.count} × `, h('code', null, group.type), ` in ${group.queue}: ${group.error_kind}`));
        say.replaceChildren(h('p', null, h('strong', null, `${found.count} ${found.count === 1 ? 'letter' : 'letters'} would be replayed. `), 'Nothing was changed.'), h('ul', null, rows));
      } catch (error) {
        say.replaceChildren(h('p', { class: 'notice bad' }, error.message));
      }
    };
    const submit = (event) => {
      event.preventDefault();
      const { way, rate } = event.target.elements;
      close({ ...wish, canary: way.value === 'canary', keep_going: way.value === 'on', ...(rate.value ? { rate: Number(rate.value) } : {}) });
    };
    const choice = (value, name, text, checked) => h('label', { class: 'choice' }, h('input', { type: 'radio', name: 'way', value, checked }), h('span', null, h('strong', null, name), h('span', { class: 'soft' }, text)));
    return h('form', { onsubmit: submit },
      h('p', null, 'A copy of each goes to its own service alone, and has one attempt. If it fails, it is a dead letter again at once.'),
      h('fieldset', null, h('legend', null, 'How'),
        choice('canary', 'Canary', 'One first, then 2, 5, 10, … each step after the outcome of all before; stops at the first that fails again.', true),
        choice('stop', 'Straight on', 'Without waiting in between; stops at the first that fails again.'),
        choice('on', 'Keep going', 'Does not stop at those that fail again.')),
      h('p', null, h('label', { for: 'rate' }, 'At most so many in any second (optional)'), h('input', { id: 'rate', name: 'rate', type: 'number', min: '0.1', step: 'any', inputmode: 'decimal' })),
      say,
      h('div', { class: 'buttons' }, h('button', { type: 'button', onclick: () => close() }, 'Not now'), h('button', { type: 'button', onclick: dry }, 'Dry run'), h('button', { type: 'submit', class: 'primary' }, 'Replay')));
  });
  return answer && act('dead-letters/replay', answer);
}

/// Asks, and takes letters away for good.
export async function discard(ids, queue, words) {
  const sure = await ask(`Discard ${words}?`, (close) => h('form', { onsubmit: (event) => { event.preventDefault(); close(true); } },
    h('p', null, 'They are gone for good, and their events never take effect in ', h('strong', null, queue ?? 'their service'), '. The journal keeps that you did it, not what they held.'),
    h('div', { class: 'buttons' }, h('button', { type: 'button', autofocus: true, onclick: () => close() }, 'Keep them'), h('button', { type: 'submit', class: 'danger' }, 'Discard'))));
  return sure && act('dead-letters/discard', { ids, queue });
}

/// Another body for a letter.
export async function edit(letter) {
  const text = letter.body === null ? letter.body_text : JSON.stringify(letter.body, null, 2);
  const body = await ask('Replay with another body', (close) => h('form', { class: 'wide', onsubmit: (event) => { event.preventDefault(); close(event.target.elements.body.value); } },
    h('p', null, 'The whole envelope, with the same ', h('code', null, 'id'), ' and ', h('code', null, 'type'), '. It is checked as its consumer will read it; if it is not valid, nothing is changed.'),
    h('label', { for: 'body' }, 'Body'), h('textarea', { id: 'body', name: 'body', rows: '18', spellcheck: 'false', class: 'code', autofocus: true, value: text }),
    h('div', { class: 'buttons' }, h('button', { type: 'button', onclick: () => close() }, 'Not now'), h('button', { type: 'submit', class: 'primary' }, 'Check and replay'))));
  return body !== undefined && act('dead-letters/edit', { id: letter.id, queue: letter.queue, body });
}

async function act(path, body) {
  try {
    return await post(path, body);
  } catch (error) {
    toast(error.message, 'bad');
    return undefined;
  }
}

/// Keeps `place.value` and redraws while anything is under way; `settled` is called when something has ended, also when what
/// has `begun` ended before it was seen.
export function follow(view, place, settled) {
  let open;
  return view.every(1000, async () => {
    const due = open === undefined || open || !place.at || Date.now() - place.at > 8000;
    if (!due) return;
    place.at = Date.now();
    place.value = (await get('dead-letters/runs', { signal: view.signal })).items;
    const now = place.value.some((run) => run.under_way);
    if ((open || place.begun) && !now) settled();
    place.begun = false;
    open = now;
    view.redraw();
  });
}

/// One action: how far it is, or how it ended.
export function runCard(run, again) {
  const { progress, ended } = run;
  const done = progress.replayed - progress.failed - progress.open;
  const total = progress.total ?? progress.replayed;
  const stop = async () => {
    await post(`dead-letters/runs/${run.run}/stop`, {}).catch((error) => toast(error.message, 'bad'));
    again();
  };
  const verdict = run.under_way ? pill('pending', run.stopping ? 'stopping' : 'under way') : ended.error ? pill('bad', 'failed') : ended.result?.failed?.length ? pill('warn', 'failed again') : ended.result?.unsettled ? pill('warn', 'not handled yet') : ended.result?.stopped ? pill('warn', 'stopped') : pill('good', 'done');
  const figures = run.action === 'discard' ? (ended?.result ? `${ended.result.discarded} discarded` : '') : `${number(progress.replayed)}${total ? ` of ${number(total)}` : ''} replayed, ${number(progress.failed)} failed again${progress.open ? `, ${number(progress.open)} without an outcome yet` : ''}`;
  return h('article', { class: 'card run', key: run.run },
    h('div', { class: 'row spread' }, h('h3', { class: 'row' }, `${run.action}: ${about(run.about)}`, verdict), run.under_way && run.action !== 'discard' ? h('button', { type: 'button', onclick: stop, disabled: run.stopping }, 'Stop') : null),
    run.action !== 'discard' && total ? h('progress', { max: String(total), value: Math.max(0, done), 'aria-label': figures }) : null,
    h('p', { class: 'row spread' }, h('span', null, figures), h('span', { class: 'soft small' }, `${run.by}, ${ago(run.started_at)}`)),
    ended?.error ? h('p', { class: 'notice bad' }, ended.error) : null,
    progress.failures.length ? h('details', null, h('summary', null, `${progress.failures.length} that failed again`), h('ul', { class: 'plain' }, progress.failures.map((failed) =>
      h('li', { key: failed.id }, h('a', { href: `/dead-letters/${encodeURIComponent(failed.id)}?queue=${failed.queue}` }, h('code', null, failed.id)), ` ${failed.error_kind}: ${failed.error}`)))) : null,
    progress.lines.length ? h('details', null, h('summary', null, 'What it said'), h('pre', { tabindex: '0' }, progress.lines.join('\n'))) : null);
}

/// What a line of the journal tells, in words.
function told(line) {
  if (line.action === 'discard') {
    if (line.phase === 'end') return `${line.discarded} discarded`;
    return (line.letters ?? []).map(({ type, id, queue }) => `${type} ${id} of ${queue}`).join(', ');
  }
  if (line.phase === 'begin' && line.action === 'edit') return `letter ${line.id} of ${line.queue}: ${line.bytes?.before} bytes, then ${line.bytes?.after}`;
  if (line.phase === 'begin') return [about(line), line.canary && 'by canary', line.rate && `at most ${line.rate} in a second`, line.keep_going && 'past what fails'].filter(Boolean).join(', ');
  const failed = line.failed ?? [];
  return [`${line.replayed} replayed`, failed.length ? `${failed.length} failed again (${failed.slice(0, 3).map(({ id }) => id).join(', ')}${failed.length > 3 ? ', …' : ''})` : '', line.unsettled && `${line.unsettled} not handled yet`, line.stopped && `stopped with ${line.left} left`, line.error].filter(Boolean).join(', ');
}

/// The journal.
export function journal(lines) {
  return h('div', { class: 'scroll panel flush', tabindex: '0', role: 'group', 'aria-label': 'Journal' }, h('table', { class: 'rows stacks' },
    h('thead', null, h('tr', null, ['When', 'Who', 'Action', 'What'].map((name) => h('th', { scope: 'col' }, name)))),
    h('tbody', null, lines.map((line, at) => h('tr', { key: `${line.run}${line.phase}${at}` },
      h('td', { 'data-label': 'When' }, h('span', { class: 'nowrap' }, clock(line.at)), ' ', h('span', { class: 'soft small' }, when(line.at))),
      h('td', { 'data-label': 'Who' }, line.operator, h('span', { class: 'soft small' }, line.via ? ` by ${line.via}` : ` at ${line.host}`)),
      h('td', { 'data-label': 'Action' }, line.action, ' ', h('span', { class: 'soft small' }, line.phase)),
      h('td', { 'data-label': 'What', class: 'small breaks' }, told(line)))))));
}
