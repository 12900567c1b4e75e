// A recording at any zoom: drag or wheel to go in, double-click for all of it again.
import { html, useEffect, useMemo, useRef } from "../html.js";
import { count, duration, timeOfDay } from "../format.js";
import { Icon } from "../shell/icons.js";
import { LaneChips, LaneSharing, LaneStack, useLanes } from "../plot/lane_stack.js";
import { spanText, useSignal } from "../plot/lanes.js";
import { isScan } from "../instrument/scan.js";
import { useReduced } from "./reduced.js";

const SHOWN_FIRST = 4;
const HEIGHTS = [300, 190, 130];
const SPAN_MIN_S = 1e-3;
const WHEEL_STEP = 1.35;

/** Keep a range inside the whole, and not narrower than can be shown; the whole is null. */
function inside([from, to], extent) {
  const span = Math.max(to - from, SPAN_MIN_S);
  if (span >= extent[1] - extent[0]) return null;
  const start = Math.min(Math.max(from, extent[0]), extent[1] - span);
  return [start, start + span];
}

/** Wheel over the plots: in and out around the pointer. */
function useWheel(box, plots, view, setRange) {
  useEffect(() => {
    const turn = (event) => {
      const { shown, extent } = view.current;
      const plot = plots.current.values().next().value;
      if (!plot || !extent || !event.target.closest(".u-over")) return;
      event.preventDefault();
      const at = plot.plot.timeAt(event.clientX);
      const factor = event.deltaY < 0 ? 1 / WHEEL_STEP : WHEEL_STEP;
      setRange(inside([at - (at - shown[0]) * factor, at + (shown[1] - at) * factor], extent));
    };
    box.current.addEventListener("wheel", turn, { passive: false });
    return () => box.current?.removeEventListener("wheel", turn);
  }, []);
}

function Facts({ shown, data, loading }) {
  if (!shown) return html`<span>${loading ? "Reading…" : "No rows."}</span>`;
  const [from, to] = shown.map((t) => timeOfDay(t, shown[1] - shown[0] < 20 ? 3 : 0));
  const how = data?.mode === "minmax" ? ", drawn by their lowest and highest" : "";
  return html`
    <span>${from} – ${to} · <b>${duration(shown[1] - shown[0])}</b></span>
    <span>${data && `${count(data.rows)} rows${how}`}</span>
  `;
}

/** The values under the pointer, by channel. */
function readout({ data, channels }, at) {
  if (!data || at === null) return {};
  return Object.fromEntries(
    channels.map((channel, i) => [channel.name, spanText(data.low[i]?.[at], data.high[i]?.[at], channel)]),
  );
}

function move([from, to], part) {
  const by = (to - from) * part;
  return [from + by, to + by];
}

function shrink([from, to], factor) {
  const middle = (from + to) / 2;
  const half = ((to - from) / 2) * factor;
  return [middle - half, middle + half];
}

function ZoomButtons({ shown, extent, range, setRange }) {
  if (!extent) return null;
  const to = (next) => setRange(inside(next, extent));
  const square = "button button--square";
  return html`
    <div class="row" role="group" aria-label="Zoom">
      <button class=${square} aria-label="Earlier" disabled=${!range} onClick=${() => to(move(shown, -0.4))}>
        <${Icon} name="back" />
      </button>
      <button class=${square} aria-label="Later" disabled=${!range} onClick=${() => to(move(shown, 0.4))}>
        <${Icon} name="next" />
      </button>
      <button class=${square} aria-label="Zoom in" onClick=${() => to(shrink(shown, 0.4))}>
        <${Icon} name="plus" />
      </button>
      <button
        class=${square}
        aria-label="Zoom out"
        disabled=${!range}
        onClick=${() => to(shrink(shown, 2.5))}>
        <${Icon} name="minus" />
      </button>
      <button class="button" disabled=${!range} onClick=${() => setRange(null)} data-test="all">
        <${Icon} name="fit" />All
      </button>
    </div>
  `;
}

/** Put an empty point into each gap, so that no line is drawn across it. */
function broken({ t, low, high }, gaps) {
  const cuts = gaps.filter(({ from, to }) => to > from).map(({ from, to }) => (from + to) / 2);
  if (!cuts.length) return { t, low, high };
  const order = [...t.map((at, i) => [at, i]), ...cuts.map((at) => [at, null])].sort((a, b) => a[0] - b[0]);
  const filled = (columns) => columns.map((column) => order.map(([, i]) => (i === null ? null : column[i])));
  return { t: order.map(([at]) => at), low: filled(low), high: filled(high) };
}

/** Draw what came, within what is asked for, with gaps and marks on it. */
function useDrawn(plots, came, shown, notes) {
  const data = useMemo(() => came && broken(came, notes.gaps), [came, notes]);
  useEffect(() => {
    if (!data || !shown) return;
    for (const { plot, at } of plots.current) {
      plot.show(
        data.t,
        at.map((i) => data.low[i]),
        at.map((i) => data.high[i]),
        shown[0],
        shown[1],
      );
      plot.annotate({ ...notes, worded: at.includes(0) }); // once, above all of them
    }
  });
}

function channelOf(stream, name) {
  return stream.channels.find((channel) => channel.name === name);
}

/** Of a scan, angle and turn number say nothing in a strip. */
function firstShown(stream) {
  if (isScan(stream)) return ["distance"];
  const numbers = stream.channels.filter(({ labels }) => !labels?.length);
  return (numbers.length ? numbers : stream.channels).slice(0, SHOWN_FIRST).map(({ name }) => name);
}

/** `notes` are `{ gaps, marks }`; `range` and `setRange` are the page's, because the downloads use it too. */
export function Preview({ recording, stream, range, setRange, notes, version, onPick }) {
  const lanes = useLanes(stream, firstShown(stream));
  const { names, plots } = lanes;
  const { data, loading, extent, problem } = useReduced(recording.id, stream.name, names, range, version);
  const shown = range ?? extent;
  const view = useRef({});
  view.current = { shown, extent, data, channels: names.map((name) => channelOf(stream, name)) };
  const box = useRef(null);
  const values = useSignal({});
  useWheel(box, plots, view, setRange);
  useDrawn(plots, data, shown, notes);
  const handlers = {
    onPick,
    onReset: () => setRange(null),
    onZoom: (from, to) => setRange(inside([from, to], view.current.extent)),
    onCursor: (at) => (values.value = readout(view.current, at)),
  };
  return html`
    <section
      class="panel preview ${loading ? "preview--loading" : ""}"
      aria-label="Preview"
      aria-busy=${loading}
      data-test="preview">
      <div class="toolbar">
        <${LaneChips} of=${lanes} />
        <div class="toolbar__end">
          <${LaneSharing} of=${lanes} />
          <${ZoomButtons} ...${{ shown, extent, range, setRange }} />
        </div>
      </div>
      ${
        problem &&
        html`<p class="fault" role="alert">
          <${Icon} name="alert" /><span>It cannot be read: ${problem}</span>
        </p>`
      }
      <div class="preview__plots" ref=${box}>
        <${LaneStack}
          of=${lanes}
          heights=${HEIGHTS}
          values=${values}
          sync=${`preview-${recording.id}`}
          handlers=${handlers} />
      </div>
      <p class="footnote preview__facts"><${Facts} ...${{ shown, data, loading }} /></p>
    </section>
  `;
}
