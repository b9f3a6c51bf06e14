// Signing in: a token of the services, pasted.

import { h, draw } from '../dom.js';
import { post } from '../api.js';

export function signIn(why, entered) {
  let error;
  let busy = false;
  const card = h('main', { id: 'main', class: 'signin' });
  const submit = async (event) => {
    event.preventDefault();
    const field = card.querySelector('#token');
    busy = true;
    error = undefined;
    show();
    try {
      const session = await post('session', { token: field.value }, { quiet: true });
      field.value = '';
      entered(session);
    } catch (failed) {
      error = failed;
      busy = false;
      show();
      field.focus();
    }
  };
  const show = () => draw(card,
    h('div', { class: 'card' },
      h('img', { src: '/web/icon.svg', alt: '', width: '56', height: '56' }),
      h('h1', null, 'Warren'),
      h('p', { class: 'lead' }, 'Orders, stock and mails on their way: seen, understood, and helped along.'),
      why && !error ? h('p', { class: 'notice', role: 'status' }, why) : null,
      error ? h('p', { class: 'notice bad', role: 'alert', id: 'signin-error' }, h('strong', null, `${error.title}. `), error.message) : null,
      h('form', { onsubmit: submit },
        h('label', { for: 'token' }, 'Your token'),
        h('textarea', { id: 'token', name: 'token', rows: '4', autocomplete: 'off', autocapitalize: 'off', spellcheck: 'false', placeholder: 'eyJhbGciOi…', 'aria-describedby': error ? 'signin-error' : 'signin-help',
          onkeydown: (event) => { if (event.key === 'Enter' && !event.shiftKey) submit(event); } }),
        h('button', { class: 'primary', type: 'submit', disabled: busy }, busy ? 'Asking the services …' : 'Sign in')),
      h('details', { id: 'signin-help', open: true }, h('summary', null, 'Where do I get one?'),
        h('p', null, 'In a development system ', h('code', null, '. .dev/env'), ' and ', h('code', null, 'echo $WARREN_TOKEN'), ' prints one; ', h('code', null, 'warren token'), ' makes one; in containers it is ', h('code', null, 'docker compose run --rm -T warren token'), '.'),
        h('p', null, 'You may do here what your token permits, and nothing else. It is kept in the console’s memory until you sign out, and never written down. Where the services ask for no token, leave the field empty.'))));
  show();
  return card;
}
