// One page as long as it is shown: it draws itself anew when something changes, and whatever it does by the clock ends
// with it.

import { draw } from './dom.js';
import { get } from './api.js';

export class View {
  #main;
  #ended = new AbortController();
  #picture = () => [];
  #due = false;
  #offs = [];

  constructor(main, surroundings) {
    this.#main = main;
    Object.assign(this, surroundings);
  }

  /// Ends when the page is left.
  get signal() {
    return this.#ended.signal;
  }

  /// The page as it looks now; drawn soon, and again after each `redraw`.
  draw(picture) {
    this.#picture = picture;
    this.redraw();
  }

  redraw() {
    if (this.#due) return;
    this.#due = true;
    queueMicrotask(() => {
      this.#due = false;
      if (!this.signal.aborted) draw(this.#main, this.#picture());
    });
  }

  /// Does something now, and again and again while the page is looked at; the next time begins after the end of this. Called
  /// while it is being done, it is done once more: what was fetched until then may be older than the reason for the call.
  every(milliseconds, act) {
    let timer;
    let running = false;
    let wanted = false;
    const run = async () => {
      clearTimeout(timer);
      wanted = true;
      if (running || this.signal.aborted) return;
      running = true;
      while (wanted && !this.signal.aborted) {
        wanted = false;
        if (!document.hidden) await act().catch(() => {});
      }
      running = false;
      if (!this.signal.aborted) timer = setTimeout(run, milliseconds);
    };
    const seen = () => document.hidden || run();
    document.addEventListener('visibilitychange', seen);
    this.#offs.push(() => { clearTimeout(timer); document.removeEventListener('visibilitychange', seen); });
    run();
    return run;
  }

  /// Fetches into `place.value`, or its failure into `place.error`, and draws. What was there before stays when it fails.
  async fetch(place, path) {
    try {
      place.value = await get(path, { signal: this.signal });
      place.error = undefined;
    } catch (error) {
      if (error.name === 'AbortError') return;
      place.error = error;
    }
    this.redraw();
  }

  /// Draws after each new set of figures.
  live() {
    this.#offs.push(this.feed.changed(() => this.redraw()));
  }

  /// Ends something with the page.
  finally(act) {
    this.#offs.push(act);
  }

  end() {
    this.#ended.abort();
    this.#offs.forEach((off) => off());
  }
}
