// Parts that are read again and again: which answer is the newest, and since when a part is what it shows.

/** A part of the page that is read again. Answers may come in another order than the requests. */
class Reading {
  constructor() { this.forget(); }

  /** Begins a request; gives its number. */
  begin() {
    this.asked += 1;
    this.begun.set(this.asked, serverNow());
    return this.asked;
  }

  /** Whether the answer to this request is shown: no newer one is. */
  takes(turn) {
    if (turn < this.shown) return false;
    Object.assign(this, { shown: turn, readAt: this.begun.get(turn) });
    for (const before of this.begun.keys()) if (before <= turn) this.begun.delete(before);
    this.line?.remove();
    return true;
  }

  /** Shows above a part that could not be read again when it was last read. */
  isOutdated(turn, box, error) {
    if (turn < this.shown) return;
    this.line?.remove();
    this.line = h('p', { class: 'outdated', role: 'status' }, 'As of ', h('time', { datetime: new Date(this.readAt).toISOString() }, exactTime(this.readAt)), `. It could not be read again: ${error.message}`);
    box.before(this.line);
  }

  /** Another thing is shown from now on. */
  forget() {
    this.line?.remove();
    Object.assign(this, { asked: this.asked ?? 0, shown: (this.asked ?? 0) + 1, begun: new Map(), readAt: null, line: null });
  }
}
