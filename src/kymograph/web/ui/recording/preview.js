// A recording at any zoom: drag or wheel to go in, double-click for all of it again.
import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { count, duration, timeOfDay } from "../format.js";
import { shade } from "../shell/theme.js";
import { Icon } from "../shell/icons.js";
import { ChannelChips, coloured, Lane, lanesOf, spanText, useSignal } from "../plot/lanes.js";
import { Choice } from "../plot/choice.js";
import { isScan } from "../instrument/scan.js";
import { useReduced } from "./reduced.js";

const SHOWN_FIRST = 4;
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
  const decimals = shown[1] - shown[0] < 20 ? 3 : 0;
  return html`
    <span>${timeOfDay(shown[0], decimals)} – ${timeOfDay(shown[1], decimals)} · <b>${duration(shown[1] - shown[0])}</b></span>
    <span>${data && `${count(data.rows)} rows${data.mode === "minmax" ? ", drawn by their lowest and highest" : ""}`}</span>
  `;
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
      <button class=${square} aria-label="Earlier" disabled=${!range} onClick=${() => to(move(shown, -0.4))}><${Icon} name="back" /></button>
      <button class=${square} aria-label="Later" disabled=${!range} onClick=${() => to(move(shown, 0.4))}><${Icon} name="next" /></button>
      <button class=${square} aria-label="Zoom in" onClick=${() => to(shrink(shown, 0.4))}><${Icon} name="plus" /></button>
      <button class=${square} aria-label="Zoom out" disabled=${!range} onClick=${() => to(shrink(shown, 2.5))}><${Icon} name="minus" /></button>
      <button class="button" disabled=${!range} onClick=${() => setRange(null)} data-test="all"><${Icon} name="fit" />All</button>
    </div>
  `;
}

/** Draw what came, within what is asked for, with gaps and marks on it. */
function useDrawn(plots, data, shown, notes) {
  useEffect(() => {
    if (!data || !shown) return;
    for (const { plot, at } of plots.current) {
      plot.show(data.t, at.map((i) => data.low[i]), at.map((i) => data.high[i]), shown[0], shown[1]);
      plot.annotate(notes.gaps, notes.marks);
    }
  });
}

/** Of a scan, angle and turn number say nothing in a strip. */
function firstShown(stream) {
  return isScan(stream) ? ["distance"] : stream.channels.slice(0, SHOWN_FIRST).map(({ name }) => name);
}

/** `notes` are `{ gaps, marks }`; `range` and `setRange` are the page's, because the downloads use it too. */
export function Preview({ recording, stream, range, setRange, notes, version, onPick }) {
  const channels = useMemo(() => coloured(stream.channels), [stream, shade.value]);
  const [shownNames, setShown] = useState(firstShown(stream));
  const [together, setTogether] = useState(true);
  const names = channels.map(({ name }) => name).filter((name) => shownNames.includes(name));
  const { data, loading, extent } = useReduced(recording.id, stream.name, names, range, version);
  const shown = range ?? extent;
  const plots = useRef(new Set());
  const view = useRef({});
  view.current = { shown, extent, data };
  const box = useRef(null);
  const values = useSignal({});
  useWheel(box, plots, view, setRange);
  useDrawn(plots, data, shown, notes);

  const lanes = lanesOf(channels.filter(({ name }) => shownNames.includes(name)), together);
  const height = lanes.length === 1 ? 300 : lanes.length <= 3 ? 190 : 130;
  const onPlot = (plot, drawn) => {
    const entry = { plot, at: drawn.map(({ name }) => names.indexOf(name)) };
    plots.current.add(entry);
    return () => plots.current.delete(entry);
  };
  const onCursor = (at) => {
    const now = view.current.data;
    if (!now) return;
    values.value = at === null ? {} : Object.fromEntries(names.map((name, i) => [name, spanText(now.low[i][at], now.high[i][at])]));
  };
  const onZoom = (from, to) => setRange(inside([from, to], view.current.extent));
  return html`
    <section class="panel preview ${loading ? "preview--loading" : ""}" aria-label="Preview" aria-busy=${loading} data-test="preview">
      <div class="toolbar">
        ${channels.length > 1 && html`<${ChannelChips} channels=${channels} shown=${shownNames} onChange=${setShown} />`}
        <div class="toolbar__end">
          ${channels.length > 1 &&
          html`<${Choice} label="Axes" value=${together} onChange=${setTogether} options=${[[true, "by unit"], [false, "one each"]]} />`}
          <${ZoomButtons} ...${{ shown, extent, range, setRange }} />
        </div>
      </div>
      <div class="preview__plots" ref=${box}>
        ${lanes.map(
          (lane, i) => html`
            <${Lane} key=${lane.map(({ name }) => name).join() + names.join()} channels=${lane} height=${height} values=${values} onPlot=${onPlot}
              sync=${`preview-${recording.id}`} timeAxis=${i === lanes.length - 1} onCursor=${onCursor}
              onZoom=${onZoom} onReset=${() => setRange(null)} onPick=${onPick} />
          `,
        )}
      </div>
      <p class="footnote preview__facts"><${Facts} ...${{ shown, data, loading }} /></p>
    </section>
  `;
}
