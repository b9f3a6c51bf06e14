// As much of Markdown as the runbooks are written in: headings, paragraphs, lists, tables, code, links between them.

import { h } from './dom.js';

/// Elements for a text.
export function markdown(text) {
  const lines = text.replaceAll('\r', '').split('\n');
  const made = [];
  let at = 0;
  const take = (fits) => {
    const taken = [];
    while (at < lines.length && fits(lines[at])) taken.push(lines[at++]);
    return taken;
  };
  while (at < lines.length) {
    const line = lines[at];
    const heading = /^(#+) (.*)/.exec(line);
    if (!line.trim()) at += 1;
    else if (line.startsWith('```')) {
      at += 1;
      made.push(h('pre', { tabindex: '0' }, take((next) => !next.startsWith('```')).join('\n')));
      at += 1;
    } else if (heading) {
      at += 1;
      made.push(h(heading[1].length === 1 ? 'h1' : 'h2', null, inline(heading[2])));
    } else if (/^\|/.test(line)) made.push(table(take((next) => /^\|/.test(next))));
    else if (/^([-*]|\d+\.) /.test(line)) {
      const ordered = /^\d/.test(line);
      const items = [];
      for (const next of take((each) => /^(([-*]|\d+\.) |\s+\S)/.test(each))) {
        const item = /^([-*]|\d+\.) (.*)/.exec(next);
        if (item) items.push(item[2]);
        else items[items.length - 1] += ` ${next.trim()}`;
      }
      made.push(h(ordered ? 'ol' : 'ul', null, items.map((item) => h('li', null, inline(item)))));
    } else made.push(h('p', null, inline(take((next) => next.trim() && !/^(#|\||```|([-*]|\d+\.) )/.test(next)).join(' '))));
  }
  return made;
}

function table(rows) {
  const cells = (row) => row.replace(/^\||\|$/g, '').split('|').map((cell) => cell.trim());
  const [head, , ...body] = rows;
  return h('div', { class: 'scroll', tabindex: '0', role: 'group', 'aria-label': 'Table' }, h('table', { class: 'rows' },
    h('thead', null, h('tr', null, cells(head).map((cell) => h('th', { scope: 'col' }, inline(cell))))),
    h('tbody', null, body.map((row) => h('tr', null, cells(row).map((cell) => h('td', null, inline(cell))))))));
}

function inline(text) {
  return text.split(/(`[^`]+`|\*\*[^*]+\*\*|\*[^*]+\*|\[[^\]]+\]\([^)]+\))/).map((part) => {
    if (/^`.+`$/.test(part)) return h('code', null, part.slice(1, -1));
    if (/^\*\*.+\*\*$/.test(part)) return h('strong', null, part.slice(2, -2));
    if (/^\*.+\*$/.test(part)) return h('em', null, part.slice(1, -1));
    const link = /^\[([^\]]+)\]\(([^)]+)\)$/.exec(part);
    const runbook = link && /^([\w-]+)\.md$/.exec(link[2]);
    if (runbook) return h('a', { href: `/runbooks/${runbook[1]}` }, inline(link[1]));
    return link ? inline(link[1]) : part;
  });
}
