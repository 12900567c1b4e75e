// Readings at any zoom: a lane a field, drag or wheel to go in, double-click for the whole time again.
import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { count } from "../format.js";
import { Choice } from "../plot/choice.js";
import { Icon } from "../shell/icons.js";
import { colour, shade, traceColours } from "../shell/theme.js";
import { get } from "../station/api.js";
import { stationNow } from "../station/state.js";
import { byInterest, fieldOf, leaves, readingText, spanWords, withoutTwins } from "./fields.js";
import { MeanPlot, momentText } from "./mean_plot.js";
import { usePolled } from "./polled.js";
import { useSeries } from "./series.js";

const DAY_S = 86400;
const SPANS = [
  [3600, "1 h"],
  [DAY_S, "24 h"],
  [7 * DAY_S, "7 d"],
  [30 * DAY_S, "30 d"],
  [365 * DAY_S, "1 y"],
];
const SPAN_MIN_S = 1;
const SPAN_MAX_S = 3660 * DAY_S;
const SHOWN_FIRST = 3;
const SHOWN_MAX = 8;
const FOLLOW_S = 10;
const HEIGHTS = [300, 210, 160];
const WHEEL_STEP = 1.35;
const LATER_S = 0.05; // of the newest reading, whose clock may be a little ahead of ours

/** The time that is shown: the last so many seconds, which goes on, or a range, which stays. */
function useRange() {
  const [view, setView] = useState(() => lastOf(DAY_S));
  const setRange = ([from, to]) => {
    const span = Math.min(Math.max(to - from, SPAN_MIN_S), SPAN_MAX_S);
    const middle = (from + to) / 2;
    setView({ last: 0, range: [middle - span / 2, middle + span / 2] });
  };
  return { ...view, setLast: (span) => setView(lastOf(span)), setRange };
}

/** Go on with the time, but never before what was asked for has come: a slow answer is waited for. */
function useFollowing({ last, range, setLast }, loading) {
  useEffect(() => {
    if (!last || loading) return undefined;
    const timer = setTimeout(() => setLast(last), FOLLOW_S * 1000);
    return () => clearTimeout(timer);
  }, [last, range, loading]);
}

function lastOf(span) {
  const now = stationNow() + LATER_S;
  return { last: span, range: [now - span, now] };
}

function useWheel(box, plots, view) {
  useEffect(() => {
    const turn = (event) => {
      const plot = plots.current.values().next().value;
      if (!plot || !event.target.closest(".u-over")) return;
      event.preventDefault();
      const { range, setRange } = view.current;
      const at = plot.timeAt(event.clientX);
      const factor = event.deltaY < 0 ? 1 / WHEEL_STEP : WHEEL_STEP;
      setRange([at - (at - range[0]) * factor, at + (range[1] - at) * factor]);
    };
    const node = box.current;
    node.addEventListener("wheel", turn, { passive: false });
    return () => node.removeEventListener("wheel", turn);
  }, []);
}

function Steps({ range, setRange }) {
  const [from, to] = range;
  const span = to - from;
  const middle = (from + to) / 2;
  const square = "button button--square";
  const around = (half) => setRange([middle - half, middle + half]);
  return html`
    <div class="row" role="group" aria-label="Zoom">
      <button
        class=${square}
        aria-label="Earlier"
        onClick=${() => setRange([from - span * 0.4, to - span * 0.4])}>
        <${Icon} name="back" />
      </button>
      <button class=${square} aria-label="Later" onClick=${() => setRange([from + span * 0.4, to + span * 0.4])}>
        <${Icon} name="next" />
      </button>
      <button class=${square} aria-label="Zoom in" onClick=${() => around(span * 0.2)}>
        <${Icon} name="plus" />
      </button>
      <button class=${square} aria-label="Zoom out" onClick=${() => around(span * 1.25)}>
        <${Icon} name="minus" />
      </button>
    </div>
  `;
}

/** Which fields are drawn; at the beginning the first few. */
function Chips({ fields, chosen, colours, onToggle }) {
  return html`
    <div class="chips" role="group" aria-label="Fields shown">
      ${fields.map((path, i) => {
        const { name, sensor, unit } = fieldOf(path);
        const on = chosen.includes(path);
        return html`
          <button
            key=${path}
            class="chip"
            title="${sensor}: ${path}"
            aria-pressed=${on}
            disabled=${!on && chosen.length >= SHOWN_MAX}
            onClick=${() => onToggle(path)}>
            <i class="swatch" style="background:${colours[i % colours.length]}" aria-hidden="true"></i>
            ${name}${unit && ` ${unit}`}
          </button>
        `;
      })}
    </div>
  `;
}

function spanOf(columns, at) {
  const value = columns?.mean[at];
  if (value === null || value === undefined) return ["–", ""];
  const [low, high] = [readingText(columns.low[at]), readingText(columns.high[at])];
  return [readingText(value), columns.mode === "rolled" && low !== high ? `${low} … ${high}` : ""];
}

function Lane({ path, color, height, columns, range, plots, sync, at, handlers }) {
  const host = useRef(null);
  const plot = useRef(null);
  const known = useRef(handlers);
  known.current = handlers;
  useEffect(() => {
    plot.current = new MeanPlot(host.current, {
      color,
      height,
      sync,
      onZoom: (from, to) => known.current.onZoom(from, to),
      onReset: () => known.current.onReset(),
      onCursor: (index) => known.current.onCursor(index === null ? null : plot.current.plot.data[0][index]),
    });
    plots.current.add(plot.current);
    return () => {
      plots.current.delete(plot.current);
      plot.current.destroy();
    };
  }, [color, height, shade.value]);
  useEffect(() => {
    if (columns && range) plot.current.show(columns, range[0], range[1]);
  }, [columns, range, color, height, shade.value]);
  const { name, sensor, unit } = fieldOf(path);
  const index = at === null || !columns ? -1 : nearest(columns.t, at);
  const [value, band] = index < 0 ? ["", ""] : spanOf(columns, index);
  return html`
    <div class="lane" data-field=${path}>
      <p class="lane__keys">
        <span class="key"
          ><i class="swatch" style="background:${color}" aria-hidden="true"></i>${name}
          ${sensor !== name && html`<small>${sensor}</small>`}</span
        >
        <span class="key__value"
          >${value && html`<b>${value}</b> ${unit} `}${band && html`<small>${band}</small>`}</span
        >
      </p>
      <div class="lane__plot" style="height:${height}px" ref=${host}></div>
    </div>
  `;
}

function nearest(t, at) {
  let best = -1;
  t.forEach((one, i) => {
    if (best < 0 || Math.abs(one - at) < Math.abs(t[best] - at)) best = i;
  });
  return best;
}

function Facts({ range, series, at }) {
  const span = range[1] - range[0];
  const first = series && Object.values(series)[0];
  const rolled = series && Object.values(series).find(({ mode }) => mode === "rolled");
  const how = rolled ? `mean, lowest and highest of each ${spanWords(rolled.widthS)}` : "every reading";
  return html`
    <span
      >${momentText(range[0], DAY_S * 2)} – ${momentText(range[1], DAY_S * 2)} ·
      <b> ${spanWords(Math.round(span))}</b>${at !== null && html` · at <b>${momentText(at, span)}</b>`}</span
    >
    <span data-test="history-how">${first ? `${count(first.rows)} readings, ${how}` : ""}</span>
  `;
}

/** A new station soon has its first field; later ones are rare. */
const fieldsAgain = ({ items }) => (items.length ? 60 : 2);

/** Fields that the station knows of, and those of its newest reading, which may be of this minute. */
function useFields(station, newest) {
  const { answer } = usePolled(() => get("readings/fields", { station }), fieldsAgain, station);
  const own = leaves(newest).filter(({ error }) => !error);
  const all = [...new Set([...(answer?.items ?? []), ...own.map(({ path }) => path)])].sort();
  const fields = useMemo(() => byInterest(withoutTwins(all)), [all.join()]);
  return { fields, isKnown: answer !== null };
}

/** `station` is empty where there is only the station's own; `newest` is the payload of its newest reading. */
export function History({ station, newest }) {
  const { fields, isKnown } = useFields(station, newest);
  const [wanted, setWanted] = useState(null);
  const [at, setAt] = useState(null);
  const chosen = wanted ?? fields.slice(0, SHOWN_FIRST);
  const view = useRange();
  const box = useRef(null);
  const plots = useRef(new Set());
  const held = useRef(view);
  held.current = view;
  useWheel(box, plots, held);
  const points = Math.min(2000, Math.max(300, box.current?.clientWidth ?? 1200));
  const { series, range, loading, problem } = useSeries({ station, fields: chosen, range: view.range, points });
  useFollowing(view, loading);
  const colours = useMemo(traceColours, [shade.value, colour("--ink")]);
  const back = () => view.setLast(view.last || DAY_S);
  const toggle = (path) =>
    setWanted(chosen.includes(path) ? chosen.filter((one) => one !== path) : [...chosen, path]);
  const shown = fields.filter((path) => chosen.includes(path));
  return html`
    <section
      class="panel preview ${loading && shown.length ? "preview--loading" : ""}"
      aria-label="History"
      aria-busy=${loading && shown.length > 0}
      data-test="history"
      data-span=${Math.round(view.range[1] - view.range[0])}>
      <div class="toolbar">
        <h2>History</h2>
        <div class="toolbar__end">
          <${Choice} label="Time shown" options=${SPANS} value=${view.last} onChange=${view.setLast} />
          <${Steps} range=${view.range} setRange=${view.setRange} />
        </div>
      </div>
      <${Chips} fields=${fields} chosen=${chosen} colours=${colours} onToggle=${toggle} />
      ${
        problem &&
        html`<p class="fault" role="alert">
          <${Icon} name="alert" /><span>The readings cannot be read: ${problem}</span>
        </p>`
      }
      ${isKnown && !fields.length && html`<p class="quiet">There are no readings yet.</p>`}
      <div class="preview__plots" ref=${box}>
        ${shown.map(
          (path) =>
            html`<${Lane}
              key=${path}
              path=${path}
              color=${colours[fields.indexOf(path) % colours.length]}
              height=${HEIGHTS[Math.min(shown.length, HEIGHTS.length) - 1]}
              columns=${series?.[path]}
              range=${range}
              plots=${plots}
              sync=${`history-${station ?? ""}`}
              at=${at}
              handlers=${{ onZoom: (from, to) => view.setRange([from, to]), onReset: back, onCursor: setAt }} />`,
        )}
      </div>
      <p class="footnote preview__facts"><${Facts} range=${range ?? view.range} series=${series} at=${at} /></p>
    </section>
  `;
}
