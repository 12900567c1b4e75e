// The last seconds of some channels as a minimum and a maximum a pixel: what a strip chart draws.

const POINTS_MAX = 1200;
const GAP_S = 2;

/**
 * A scrolling window of at most `points` points. Rows that fall into one are merged by their minimum and
 * maximum, so that a peak of a single row stays visible however long the window is.
 */
export class Trace {
  constructor(names, windowS, points = POINTS_MAX) {
    this.names = names;
    this.windowS = windowS;
    this.bucketS = windowS / points;
    this.clear();
  }

  clear() {
    this.t = [];
    this.low = this.names.map(() => []);
    this.high = this.names.map(() => []);
    this.startsAt = -Infinity;
  }

  get last() {
    return this.t.length ? this.t[this.t.length - 1] : -Infinity;
  }

  /** Add rows, reduced or not; what is older than the newest point is left out. */
  add(t, columns) {
    const bounds = this.names.map((name) => {
      const column = columns[name];
      return column?.min === undefined ? [column, column] : [column.min, column.max];
    });
    for (let row = 0; row < t.length; row += 1) this.#point(t[row], bounds, row);
    this.#forget();
  }

  /** Break the line: rows are missing here. */
  cut() {
    if (!this.t.length || this.low[0]?.[this.t.length - 1] === null) return;
    this.t.push(this.last + 1e-6);
    this.low.forEach((column) => column.push(null));
    this.high.forEach((column) => column.push(null));
    this.startsAt = -Infinity;
  }

  #point(t, bounds, row) {
    if (t < this.last) return;
    if (t - this.last > Math.max(GAP_S, this.bucketS * 3)) this.cut();
    if (t - this.startsAt < this.bucketS) this.#widen(bounds, row);
    else this.#push(t, bounds, row);
  }

  #push(t, bounds, row) {
    this.t.push(t);
    this.startsAt = t;
    bounds.forEach(([low, high], i) => {
      this.low[i].push(finite(low?.[row]));
      this.high[i].push(finite(high?.[row]));
    });
  }

  #widen(bounds, row) {
    const at = this.t.length - 1;
    bounds.forEach(([low, high], i) => {
      const lowest = finite(low?.[row]);
      const highest = finite(high?.[row]);
      if (lowest !== null && !(this.low[i][at] <= lowest && this.low[i][at] !== null))
        this.low[i][at] = lowest;
      if (highest !== null && !(this.high[i][at] >= highest && this.high[i][at] !== null))
        this.high[i][at] = highest;
    });
  }

  #forget() {
    const oldest = this.last - this.windowS * 1.05;
    if (this.t.length < 64 || this.t[this.t.length >> 3] > oldest) return;
    let keep = 0;
    while (this.t[keep] < oldest) keep += 1;
    this.t.splice(0, keep);
    this.low.forEach((column) => column.splice(0, keep));
    this.high.forEach((column) => column.splice(0, keep));
  }
}

function finite(value) {
  return value === null || value === undefined || !Number.isFinite(value) ? null : value;
}
