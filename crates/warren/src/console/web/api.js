// The console's server, and through it the services.

/// Why something was not done, in words.
export class Refused extends Error {
  constructor(status, problem) {
    const fields = (problem.errors ?? []).map(({ pointer, detail }) => `${pointer || 'the body'}: ${detail}`);
    super([problem.detail || problem.title || `The answer was ${status}.`, ...fields].join(' '));
    this.status = status;
    this.kind = (problem.type ?? '').split('/').pop();
    this.title = problem.title ?? 'Failed';
  }
}

let onSignedOut = () => {};

/// What to do when nobody is signed in any more.
export function whenSignedOut(act) {
  onSignedOut = act;
}

/// Asks the console's server. `headers` of the answer are handed to `look`, if it is given.
export async function call(method, path, body, { headers = {}, signal, quiet, look } = {}) {
  let answer;
  try {
    answer = await fetch(`/api/${path}`, {
      method,
      signal,
      headers: { 'x-warren-console': '1', ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
  } catch (error) {
    if (error.name === 'AbortError') throw error;
    throw new Refused(0, { type: '/problems/console-away', title: 'No answer', detail: 'The console does not answer. Does it still run?' });
  }
  const text = await answer.text();
  let value;
  try {
    value = text ? JSON.parse(text) : undefined;
  } catch {
    value = undefined;
  }
  if (answer.ok) {
    look?.(answer.headers);
    return value;
  }
  const refused = new Refused(answer.status, value ?? {});
  if (answer.status === 401 && !quiet) onSignedOut(refused);
  throw refused;
}

export const get = (path, options) => call('GET', path, undefined, options);
export const post = (path, body, options) => call('POST', path, body, options);

/// A POST to a service, under a key of its own: sent twice it has one effect.
export const order = (path, body) => post(path, body, { headers: { 'idempotency-key': key() } });

function key() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
}

/// A query from what is set of these.
export function query(parameters) {
  const set = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null && value !== '');
  return set.length ? `?${new URLSearchParams(set)}` : '';
}
