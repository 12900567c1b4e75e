// One set of axes with channels drawn as bands between their minimum and maximum.
import { colour } from "../shell/theme.js";
import { number, timeOfDay } from "../format.js";
import { drawNotes, headOf } from "./notes.js";
import { drawBands } from "./plain_bands.js";
import uPlot from "../vendor/uplot/uplot.js";

const Y_AXIS_PX = 54;
const DAY_S = 86400;
const day = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });

function timeLabels(plot, splits, _axis, _space, step) {
  const decimals = step >= 1 ? 0 : Math.min(6, Math.ceil(-Math.log10(step)));
  const long = plot.scales.x.max - plot.scales.x.min > DAY_S;
  return splits.map((t) => {
    if (!long) return step >= 60 ? timeOfDay(t).slice(0, 5) : timeOfDay(t, decimals);
    return `${day.format(new Date(t * 1000))}\n${timeOfDay(t).slice(0, 5)}`;
  });
}

function blank(_plot, splits) {
  return splits.map(() => null);
}

/**
 * Wraps uPlot. `channels` are `{ name, color, labels }`; `onZoom(min, max)` and `onReset()` make it zoomable
 * by dragging and double-click; `onPick(time)` is a click; `onCursor(index)` follows the pointer (null when
 * it leaves); plots with the same `sync` share it. `plain` draws bands with less
 * work: for many channels, many times a second.
 */
export class BandPlot {
  constructor(host, { channels, height, timeAxis = true, sync, plain = false, ...handlers }) {
    const { onReset, onPick } = handlers;
    this.host = host;
    this.channels = channels;
    this.plain = plain;
    this.handlers = handlers;
    this.notes = { gaps: [], marks: [], worded: false };
    this.yShown = null;
    this.ink = {
      grid: colour("--grid"),
      text: colour("--muted"),
      ground: colour("--panel"),
      alarm: colour("--record"),
      mark: colour("--mark"),
      run: colour("--good"),
      place: colour("--action"),
    };
    this.plot = new uPlot(this.#options(height, timeAxis, sync), this.#empty(), host);
    if (onReset) this.plot.over.addEventListener("dblclick", onReset);
    if (onPick) this.plot.over.addEventListener("click", (event) => onPick(this.timeAt(event.clientX)));
    this.observer = new ResizeObserver(() => this.#fit());
    this.observer.observe(host);
  }

  /** Show these times and, for each channel, its lowest and highest values, from `min` to `max` seconds. */
  show(t, low, high, min, max) {
    const data = [t];
    this.channels.forEach((_, i) => data.push(high[i], low[i]));
    this.plot.batch(() => {
      this.plot.setData(data, false);
      this.plot.setScale("x", { min, max });
    });
  }

  /** Draw gaps `{ from, to, quiet }` and marks `{ at, kind, text }`; `worded`: with their texts. */
  annotate(notes) {
    const head = headOf(notes, this.plot.height) !== headOf(this.notes, this.plot.height);
    this.notes = notes;
    this.plot.redraw(head, head);
  }

  timeAt(clientX) {
    return this.plot.posToVal(clientX - this.plot.over.getBoundingClientRect().left, "x");
  }

  destroy() {
    this.observer.disconnect();
    this.plot.destroy();
  }

  #empty() {
    return [[], ...this.channels.flatMap(() => [[], []])];
  }

  #fit() {
    const { clientWidth: width, clientHeight: height } = this.host;
    if (width > 0 && height > 0 && (width !== this.plot.width || height !== this.plot.height)) {
      this.plot.setSize({ width, height });
    }
  }

  #options(height, timeAxis, sync) {
    return {
      width: Math.max(80, this.host.clientWidth),
      height,
      pxAlign: 0,
      padding: [() => 8 + headOf(this.notes, height), 10, timeAxis ? 0 : 4, 0],
      legend: { show: false },
      focus: { alpha: 1 },
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: Boolean(this.handlers.onZoom), y: false, setScale: false },
        sync: sync ? { key: sync, scales: ["x", null] } : undefined,
      },
      scales: { x: { time: true, auto: false }, y: { range: (_, min, max) => this.#yRange(min, max) } },
      axes: [
        this.#axis({ values: timeAxis ? timeLabels : blank, size: timeAxis ? 28 : 0, space: 92 }),
        this.#axis({
          size: Y_AXIS_PX,
          space: 34,
          values: (_, splits) => splits.map((v) => this.#valueLabel(v)),
        }),
      ],
      ...this.#drawn(),
      hooks: {
        setCursor: [(plot) => this.handlers.onCursor?.(plot.cursor.idx ?? null)],
        setSelect: [(plot) => this.#selected(plot)],
        draw: [(plot) => this.plain && drawBands(plot, this.channels), (plot) => drawNotes(plot, this.notes, this.ink)],
      },
    };
  }

  #drawn() {
    const nothing = { paths: () => null, points: { show: false } };
    const line = ({ color }) => (this.plain ? nothing : this.#line(color));
    const band = ({ color }, i) => ({ series: [2 * i + 1, 2 * i + 2], fill: `${color}55` });
    return {
      series: [{}, ...this.channels.flatMap((channel) => [line(channel), line(channel)])],
      bands: this.plain ? [] : this.channels.map(band),
    };
  }

  #axis(own) {
    return {
      stroke: this.ink.text,
      font: '12px "Plex", system-ui, sans-serif',
      grid: { stroke: this.ink.grid, width: 1 },
      ticks: { show: false },
      gap: 6,
      ...own,
    };
  }

  /** A number, or where one channel has words for its values, the word. */
  #valueLabel(v) {
    const { labels } = this.channels[0];
    if (this.channels.length > 1 || !labels?.length) return number(v, 3).replace(/\.0+$/, "");
    return Number.isInteger(v) ? (labels[v] ?? "") : "";
  }

  #line(color) {
    return { stroke: color, width: 1, points: { show: false }, spanGaps: false };
  }

  /** Grow at once, shrink only when much of the room is unused, so that the axis does not tremble. */
  #yRange(min, max) {
    const labels = this.channels.length === 1 && this.channels[0].labels;
    if (labels?.length) return [-0.3, labels.length - 0.7];
    if (min === null || max === null) return this.yShown ?? [0, 1];
    const pad = (max - min || Math.abs(max) * 0.1 || 1) * 0.08;
    const [low, high] = this.yShown ?? [Infinity, -Infinity];
    const fits = min >= low && max <= high && max - min > (high - low) * 0.55;
    if (!fits) this.yShown = [min - pad, max + pad];
    return this.yShown;
  }

  #selected(plot) {
    const { left, width } = plot.select;
    if (width < 4) return;
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.handlers.onZoom?.(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
  }
}
