// The figures, fetched every two seconds for all pages together; of their history only what is new.

import { get } from './api.js';

const MOST = { minutes: 450, day: 1440 };

export class Feed {
  #listeners = new Set();
  #timer;
  #since = 0;
  /// Which of the loops is the one: whatever an earlier one fetches comes too late.
  #loop = 0;
  now;
  ok = true;
  range = 'minutes';
  history = { at: [] };

  start() {
    this.stop();
    this.choose(this.range);
  }

  stop() {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#loop += 1;
    this.now = undefined;
    this.ok = true;
  }

  /// Another part of the history.
  choose(range) {
    this.range = range;
    this.history = { at: [] };
    this.#since = 0;
    this.#loop += 1;
    this.#look(this.#loop);
  }

  /// Calls back after each look, until what is returned is called.
  changed(act) {
    this.#listeners.add(act);
    return () => this.#listeners.delete(act);
  }

  async #look(loop) {
    clearTimeout(this.#timer);
    const range = this.range;
    try {
      const now = await get(`overview?range=${range}&since=${this.#since}`);
      if (loop !== this.#loop) return;
      this.#add(now.history, MOST[range]);
      this.now = now;
      this.ok = true;
    } catch (error) {
      if (error.status === 401 || loop !== this.#loop) return;
      this.ok = false;
    }
    this.#listeners.forEach((act) => act());
    this.#timer = setTimeout(() => this.#look(loop), document.hidden ? 10000 : 2000);
  }

  #add(news, most) {
    for (const [name, values] of Object.entries(news)) {
      this.history[name] = [...(this.history[name] ?? []), ...values].slice(-most);
    }
    this.#since = this.history.at.at(-1) ?? 0;
  }
}
