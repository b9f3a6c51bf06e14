// The frame around the pages: who is signed in, where one is, what is wrong.

import { h, draw } from './dom.js';
import { get, call, whenSignedOut } from './api.js';
import { icon, failure, waiting, number } from './words.js';
import { View } from './view.js';
import { Feed } from './feed.js';
import { signIn } from './pages/signin.js';
import { overview } from './pages/overview.js';
import { orders } from './pages/orders.js';
import { order } from './pages/order.js';
import { deadLetters } from './pages/deadletters.js';
import { deadGroup } from './pages/deadgroup.js';
import { deadLetter } from './pages/deadletter.js';
import { stock } from './pages/stock.js';
import { product } from './pages/product.js';
import { mails } from './pages/mails.js';
import { catalogue } from './pages/catalogue.js';
import { event } from './pages/event.js';
import { runbook } from './pages/runbook.js';
import { tryIt } from './pages/tryit.js';

const MENU = [
  { to: '/', name: 'Overview', icon: 'overview' },
  { to: '/orders', name: 'Orders', icon: 'orders' },
  { to: '/dead-letters', name: 'Dead letters', brief: 'Dead', icon: 'dead' },
  { to: '/stock', name: 'Stock', icon: 'stock' },
  { to: '/mails', name: 'Mails', icon: 'mails' },
  { to: '/catalogue', name: 'Catalogue', brief: 'Events', icon: 'events' },
  { to: '/try', name: 'Try it', brief: 'Try', icon: 'play' },
];

const PAGES = [
  [/^\/$/, overview, 'Overview'],
  [/^\/orders$/, orders, 'Orders'],
  [/^\/orders\/([^/]+)$/, order, 'Order'],
  [/^\/dead-letters$/, deadLetters, 'Dead letters'],
  [/^\/dead-letters\/groups\/([^/]+)$/, deadGroup, 'Dead letters'],
  [/^\/dead-letters\/([^/]+)$/, deadLetter, 'Dead letter'],
  [/^\/stock$/, stock, 'Stock'],
  [/^\/stock\/([^/]+)$/, product, 'Product'],
  [/^\/mails$/, mails, 'Mails'],
  [/^\/catalogue$/, catalogue, 'Catalogue'],
  [/^\/catalogue\/([^/]+)$/, event, 'Event'],
  [/^\/runbooks\/([^/]+)$/, runbook, 'Runbook'],
  [/^\/try$/, tryIt, 'Try it'],
];

const app = document.getElementById('app');
const feed = new Feed();
let session;
let view;

async function start() {
  if (session) return;
  whenSignedOut(() => session && leave('You were signed out: the token has expired, or the console was started anew.'));
  try {
    session = (await get('session', { quiet: true })) ?? undefined;
    if (session) enter();
    else leave();
  } catch (error) {
    if (error.status === 401) return leave();
    // a console that is just being started answers in a moment
    draw(app, h('main', { id: 'main', class: 'alone' }, h('h1', null, 'Warren'), failure(error, start)));
    setTimeout(start, 2000);
  }
}

function enter() {
  feed.start();
  navigate(location.pathname + location.search, { replace: true });
}

function leave(why) {
  session = undefined;
  feed.stop();
  view?.end();
  view = undefined;
  document.title = 'Sign in · Warren';
  draw(app);
  app.append(signIn(why, (entered) => { session = entered; draw(app); enter(); }));
  document.getElementById('token').focus();
}

async function signOut() {
  await call('DELETE', 'session').catch(() => {});
  leave('Signed out. The console has forgotten the token.');
}

/// Shows the page of an address.
function navigate(address, { replace = false, focus = false } = {}) {
  const url = new URL(address, location.origin);
  if (replace) history.replaceState(null, '', url);
  else history.pushState(null, '', url);
  show(url, focus);
}

/// The page of a path, with the parts of the path that it is about; none where there is no such page.
function page(pathname) {
  const found = PAGES.find(([pattern]) => pattern.test(pathname));
  try {
    return { found, path: found ? pathname.match(found[0]).slice(1).map(decodeURIComponent) : [] };
  } catch {
    // such as %zz, which stands for nothing
    return { path: [] };
  }
}

function show(url, focus) {
  view?.end();
  const { found, path } = page(url.pathname);
  const main = h('main', { id: 'main', tabindex: '-1' }, waiting());
  const title = found?.[2] ?? 'Not found';
  document.title = `${title} · Warren`;
  draw(app);
  app.append(h('div', { class: 'frame' }, h('header', { class: 'side' }), main));
  frame(url.pathname);
  view = new View(main, { session, feed, navigate, path, query: url.searchParams });
  if (found) found[1](view);
  else draw(main, h('div', { class: 'empty' }, icon('burrow'), h('h1', null, 'Nothing is here'), h('p', null, h('a', { href: '/' }, 'Back to the overview'))));
  if (focus) main.focus({ preventScroll: true });
  window.scrollTo(0, 0);
}

/// Draws the menu, with what is wrong beside it.
function frame(path) {
  const side = app.querySelector('.side');
  if (!side || !session) return;
  const now = feed.now;
  const urgent = now?.wrong.filter((wrong) => wrong.urgent && !wrong.follows).length ?? 0;
  const dead = Object.values(now?.queues ?? {}).reduce((sum, queue) => sum + queue.dead, 0);
  const badge = { '/': urgent, '/dead-letters': dead };
  const here = (to) => (to === '/' ? path === '/' : path.startsWith(to));
  const item = ({ to, name, brief, icon: drawing }) => {
    const count = badge[to];
    return h('li', null, h('a', { href: to, 'aria-current': here(to) ? 'page' : undefined },
      icon(drawing), h('span', { class: 'name' }, name), h('span', { class: 'brief' }, brief ?? name),
      count ? h('span', { class: `badge ${to === '/' ? 'urgent' : ''}` }, number(count), h('span', { class: 'unseen' }, to === '/' ? ' urgent' : ' waiting')) : null));
  };
  const state = !feed.ok ? ['bad', 'The console does not answer'] : urgent ? ['bad', `${urgent} urgent`] : now?.wrong.length ? ['warn', 'Something to look at'] : ['good', 'All is well'];
  draw(side,
    h('a', { class: 'brand', href: '/' }, h('img', { src: '/web/icon.svg', alt: '', width: '30', height: '30' }), h('span', null, 'Warren')),
    h('p', { class: `heart ${now || !feed.ok ? state[0] : ''}` }, h('span', { class: 'dot', 'aria-hidden': 'true' }), now || !feed.ok ? state[1] : 'Looking …'),
    h('nav', { 'aria-label': 'Pages' }, h('ul', null, MENU.map(item))),
    h('div', { class: 'who' },
      h('p', { class: 'name', title: `Scopes: ${session.scopes.join(' ') || 'none'}` }, h('span', { class: 'soft' }, 'Signed in as '), h('strong', null, session.subject)),
      session.verified ? null : h('p', { class: 'soft' }, 'No service has verified the token yet.'),
      h('div', { class: 'row' }, theme(path), h('button', { type: 'button', class: 'bare', onclick: signOut, title: 'Sign out', 'aria-label': 'Sign out' }, icon('leave')))));
}

/// Light, dark, or as the system has it.
function theme(path) {
  const root = document.documentElement;
  const now = root.dataset.theme ?? 'auto';
  const choose = (next) => {
    if (next === 'auto') delete root.dataset.theme;
    else root.dataset.theme = next;
    try {
      if (next === 'auto') localStorage.removeItem('warren-theme');
      else localStorage.setItem('warren-theme', next);
    } catch {
      // it lasts as long as the page
    }
    frame(path);
  };
  const button = (name, drawing, label) => h('button', { type: 'button', class: 'bare', 'aria-pressed': String(now === name), 'aria-label': label, title: label, onclick: () => choose(name) }, icon(drawing));
  return h('div', { class: 'themes', role: 'group', 'aria-label': 'Colours' }, button('auto', 'auto', 'Colours of the system'), button('light', 'sun', 'Light'), button('dark', 'moon', 'Dark'));
}

feed.changed(() => frame(location.pathname));
addEventListener('popstate', () => session && show(new URL(location.href), false));
document.addEventListener('click', (event) => {
  const link = event.target.closest?.('a[href]');
  const plain = event.button === 0 && !event.ctrlKey && !event.metaKey && !event.shiftKey && !event.altKey;
  if (!link || !plain || !session || link.target || link.origin !== location.origin || link.hasAttribute('download')) return;
  if (link.getAttribute('href').startsWith('#')) return;
  event.preventDefault();
  navigate(link.href, { focus: true });
});

start();
