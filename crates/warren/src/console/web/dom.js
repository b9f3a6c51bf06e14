// Elements from functions, and bringing what is shown up to date without losing focus, selection or scrolling. Texts are
// always texts: nothing here makes markup of a string.

const SVG = 'http://www.w3.org/2000/svg';

/// An element: `h('p', {class: 'note', onclick: act}, 'text', other, [more])`. `hold` keeps the element of a component.
export function h(tag, properties, ...children) {
  return make(document.createElement(tag), properties, children);
}

/// The same in SVG.
export function s(tag, properties, ...children) {
  return make(document.createElementNS(SVG, tag), properties, children);
}

function make(node, properties, children) {
  for (const [name, value] of Object.entries(properties ?? {})) {
    if (name === 'checked') given(node, name, Boolean(value));
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith('on')) listen(node, name.slice(2), value);
    else if (name === 'hold') node.held = value;
    else if (name === 'key') node.key = String(value);
    else if (name === 'value') given(node, name, value);
    else if (name !== 'checked') node.setAttribute(name, value === true ? '' : value);
  }
  append(node, children);
  // an input takes a value that its limits allow, and a select one of its options
  settle(node);
  return node;
}

// The elements of components come into what is shown, and not into each drawing that is compared with it.
function mount(node) {
  if (node.held) node.append(node.held.element);
  else for (const child of node.children ?? []) mount(child);
}

// What a control shows is set where it is said; else it is the user's.
function given(node, name, value) {
  node.given = { ...node.given, [name]: value };
}

function settle(node) {
  for (const [name, value] of Object.entries(node.given ?? {})) if (node[name] !== value) node[name] = value;
}

// One listener per kind of event, which asks the node what to do: so that a later drawing can change it.
function listen(node, kind, act) {
  node.acts ??= {};
  if (!(kind in node.acts)) node.addEventListener(kind, (event) => node.acts[kind]?.(event));
  node.acts[kind] = act;
}

function append(node, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    node.append(child instanceof Node ? child : String(child));
  }
}

/// Makes the children of `parent` look like `children`, keeping the nodes that are there already.
export function draw(parent, ...children) {
  const wanted = document.createDocumentFragment();
  append(wanted, children);
  sync(parent, wanted);
}

function sync(parent, wanted) {
  const keyed = new Map();
  for (const child of parent.childNodes) if (child.key) keyed.set(child.key, child);
  let at = parent.firstChild;
  for (const next of [...wanted.childNodes]) {
    let known = next.key ? keyed.get(next.key) : at;
    if (known && !alike(known, next)) known = undefined;
    if (!known) {
      parent.insertBefore(next, at);
      mount(next);
      continue;
    }
    if (known === at) at = at.nextSibling;
    else parent.insertBefore(known, at);
    update(known, next);
  }
  while (at) {
    const gone = at;
    at = at.nextSibling;
    gone.remove();
  }
}

function alike(known, next) {
  return known.nodeType === next.nodeType && known.nodeName === next.nodeName && known.key === next.key && known.held === next.held;
}

function update(known, next) {
  if (known.nodeType === Node.TEXT_NODE) {
    if (known.data !== next.data) known.data = next.data;
    return;
  }
  for (const { name } of [...known.attributes]) {
    const kept = (name === 'open' && known.nodeName === 'DETAILS') || name === 'style';
    if (!kept && !next.hasAttribute(name)) known.removeAttribute(name);
  }
  for (const { name, value } of next.attributes) {
    if (name === 'open' && known.nodeName === 'DETAILS') continue;
    if (known.getAttribute(name) !== value) known.setAttribute(name, value);
  }
  for (const kind of Object.keys(known.acts ?? {})) if (!next.acts?.[kind]) known.acts[kind] = undefined;
  for (const [kind, act] of Object.entries(next.acts ?? {})) listen(known, kind, act);
  if (known.held) return;
  sync(known, next);
  // what somebody is typing is his
  known.given = next.given;
  if (known !== document.activeElement || known.type === 'checkbox' || known.type === 'radio') settle(known);
}

/// Says something for a few seconds.
export function toast(text, kind = 'good') {
  const node = h('div', { class: `toast ${kind}` }, text);
  document.getElementById('toasts').append(node);
  setTimeout(() => node.remove(), kind === 'bad' ? 9000 : 4500);
}

/// Asks in a dialog: `body` makes its content of the function that closes it with an answer.
export function ask(title, body) {
  return new Promise((resolve) => {
    const before = document.activeElement;
    const close = (answer) => {
      dialog.close();
      dialog.remove();
      before?.focus?.();
      resolve(answer);
    };
    const dialog = h('dialog', { class: 'dialog', 'aria-labelledby': 'dialog-title', oncancel: (event) => { event.preventDefault(); close(undefined); } },
      h('h2', { id: 'dialog-title' }, title), body(close));
    document.body.append(dialog);
    dialog.showModal();
  });
}
