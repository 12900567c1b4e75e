// One field over time: a line through the means, and a band from the lowest to the highest value.
import { timeOfDay } from "../format.js";
import { colour } from "../shell/theme.js";
import uPlot from "../vendor/uplot/uplot.js";

const Y_AXIS_PX = 58;
const DAY_S = 86400;
const short = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short" });
const monthly = new Intl.DateTimeFormat("en-GB", { month: "short", year: "numeric" });

/** Write a moment as the axis of so long a time has it. */
export function momentText(t, span) {
  const at = new Date(t * 1000);
  if (span <= DAY_S * 1.01) return timeOfDay(t).slice(0, span < 3600 ? 8 : 5);
  return `${short.format(at)}, ${timeOfDay(t).slice(0, 5)}`;
}

function timeLabels(plot, splits, _axis, _space, step) {
  const span = plot.scales.x.max - plot.scales.x.min;
  return splits.map((t) => {
    const at = new Date(t * 1000);
    if (step >= 27 * DAY_S) return monthly.format(at);
    if (step >= DAY_S) return short.format(at);
    const clock = timeOfDay(t).slice(0, step < 60 ? 8 : 5);
    return span > DAY_S * 1.01 && clock.startsWith("00:00") ? short.format(at) : clock;
  });
}

/** `onZoom(from, to)` is a drag, `onReset()` a double-click, `onCursor(index)` the pointer; null: it left. */
export class MeanPlot {
  constructor(host, { color, height, sync, onZoom, onReset, onCursor }) {
    this.host = host;
    this.color = color;
    this.handlers = { onZoom, onCursor };
    this.plot = new uPlot(this.#options(height, sync), [[], [], [], []], host);
    this.plot.over.addEventListener("dblclick", onReset);
    this.observer = new ResizeObserver(() => this.#fit());
    this.observer.observe(host);
  }

  /** Show columns `{ t, low, mean, high }` from `min` to `max` seconds. */
  show({ t, low, mean, high }, min, max) {
    this.plot.batch(() => {
      this.plot.setData([t, high, low, mean], false);
      this.plot.setScale("x", { min, max });
    });
  }

  timeAt(clientX) {
    return this.plot.posToVal(clientX - this.plot.over.getBoundingClientRect().left, "x");
  }

  destroy() {
    this.observer.disconnect();
    this.plot.destroy();
  }

  #fit() {
    const { clientWidth: width } = this.host;
    if (width > 0 && width !== this.plot.width) this.plot.setSize({ width, height: this.plot.height });
  }

  #options(height, sync) {
    const edge = { stroke: `${this.color}00`, width: 0, points: { show: false } };
    const line = { stroke: this.color, width: 1.6, points: { show: (plot) => plot.data[0].length < 3 } };
    return {
      width: Math.max(80, this.host.clientWidth),
      height,
      pxAlign: 0,
      padding: [8, 10, 4, 0],
      legend: { show: false },
      focus: { alpha: 1 },
      cursor: {
        y: false,
        points: { show: false },
        drag: { x: true, y: false, setScale: false },
        sync: { key: sync, scales: ["x", null] },
      },
      scales: { x: { time: true, auto: false }, y: { range: (_, min, max) => padded(min, max) } },
      series: [{}, edge, edge, line],
      bands: [{ series: [1, 2], fill: `${this.color}44` }],
      axes: [
        axis({ values: timeLabels, size: 28, space: 84 }),
        axis({
          size: Y_AXIS_PX,
          space: 34,
          values: (_plot, splits, _axis, _space, step) => splits.map((v) => valueLabel(v, step)),
        }),
      ],
      hooks: {
        setCursor: [(plot) => this.handlers.onCursor(plot.cursor.idx ?? null)],
        setSelect: [(plot) => this.#selected(plot)],
      },
    };
  }

  #selected(plot) {
    const { left, width } = plot.select;
    if (width < 4) return;
    plot.setSelect({ left: 0, width: 0, top: 0, height: 0 }, false);
    this.handlers.onZoom(plot.posToVal(left, "x"), plot.posToVal(left + width, "x"));
  }
}

function valueLabel(value, step) {
  return value.toFixed(Math.min(6, Math.max(0, Math.ceil(-Math.log10(step) - 1e-9)))).replace("-", "−");
}

function padded(min, max) {
  if (min === null || max === null) return [0, 1];
  const pad = (max - min || Math.abs(max) * 0.02 || 1) * 0.08;
  return [min - pad, max + pad];
}

function axis(own) {
  return {
    stroke: colour("--muted"),
    font: '12px "Plex", system-ui, sans-serif',
    grid: { stroke: colour("--grid"), width: 1 },
    ticks: { show: false },
    gap: 6,
    ...own,
  };
}
