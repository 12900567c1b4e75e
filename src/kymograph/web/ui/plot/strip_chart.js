// The strip chart: any channels of a stream, scrolling, with the peaks kept.
import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { count, duration } from "../format.js";
import { drawEvery } from "../shell/frames.js";
import { Icon } from "../shell/icons.js";
import { stationNow } from "../station/state.js";
import { Choice } from "./choice.js";
import { keepFilled } from "./filling.js";
import { LaneChips, LaneSharing, LaneStack, useLanes } from "./lane_stack.js";
import { spanText, useSignal } from "./lanes.js";
import { Trace } from "./trace.js";

const LIVE_HZ_MIN = 20;
const LIVE_HZ_MAX = 50;
const FRAME_MS = 50;
const READOUT_MS = 200;
const HISTORY_POINTS = 1000;
const SHOWN_FIRST = 6;
const HEIGHTS = [240, 150, 110];
const WINDOWS = [10, 30, 60, 120, 300, 600].map((s) => [s, duration(s).replace(/\s*00\ss$/, "")]);

/** Reduced points a second: as many as a chart of that length can show. */
function liveRate(windowS) {
  return Math.max(LIVE_HZ_MIN, Math.min(LIVE_HZ_MAX, HISTORY_POINTS / windowS));
}

/** Fill a trace with what the station still holds and keep it filled; count the rows dropped on the way. */
function useTrace(stream, names, windowS) {
  const [dropped, setDropped] = useState(0);
  const trace = useMemo(() => new Trace(names, windowS), [stream.name, names.join(), windowS]);
  useEffect(() => {
    const onDropped = (rows) => setDropped((sum) => sum + rows);
    return keepFilled(trace, stream.name, { points: HISTORY_POINTS, rateHz: liveRate(windowS), onDropped });
  }, [trace]);
  return { trace, dropped };
}

/** Draw the plots, until paused. */
function useDrawing(plots, trace, paused) {
  useEffect(() => {
    if (paused) return undefined;
    return drawEvery(FRAME_MS, () => {
      const max = Math.max(stationNow() - 0.1, trace.last);
      for (const { plot, at } of plots.current) {
        const [low, high] = [trace.low, trace.high].map((columns) => at.map((i) => columns[i]));
        plot.show(trace.t, low, high, max - trace.windowS, max);
      }
    });
  }, [trace, paused]);
}

/** Say a channel at a place; one without a single value is not sent at all. */
function told(trace, i, at, channel) {
  if (trace.t.length && trace.low[i].every((v) => v === null)) return "— not sent";
  return spanText(trace.low[i][at], trace.high[i][at], channel);
}

/** Say the values under the pointer, or the newest ones. */
function useReadout(trace, stream, values, pointed) {
  useEffect(() => {
    const named = new Map(stream.channels.map((channel) => [channel.name, channel]));
    const say = () => {
      const at = pointed.current ?? trace.t.length - 1;
      values.value = Object.fromEntries(
        trace.names.map((name, i) => [name, told(trace, i, at, named.get(name))]),
      );
    };
    const timer = setInterval(say, READOUT_MS);
    return () => clearInterval(timer);
  }, [trace]);
}

function Toolbar({ lanes, stream, windowS, setWindow, paused, setPaused }) {
  return html`
    <div class="toolbar">
      <${LaneChips} of=${lanes} />
      <div class="toolbar__end">
        <${LaneSharing} of=${lanes} />
        <${Choice} label="Length of the chart" options=${WINDOWS} value=${windowS} onChange=${setWindow} />
        <button
          class="button"
          aria-pressed=${paused}
          onClick=${() => setPaused(!paused)}
          aria-label="Hold the chart of ${stream.name}">
          <${Icon} name=${paused ? "play" : "pause"} />${paused ? "Go on" : "Hold"}
        </button>
      </div>
    </div>
  `;
}

/** What has words for values is in the list of channels, and not shown before it is asked for. */
function firstShown({ channels }) {
  const numbers = channels.filter(({ labels }) => !labels?.length);
  return (numbers.length ? numbers : channels).slice(0, SHOWN_FIRST).map(({ name }) => name);
}

/** `first` are the names of the channels that are shown to begin with. */
export function StripChart({ stream, first }) {
  const lanes = useLanes(stream, first ?? firstShown(stream));
  const [windowS, setWindow] = useState(30);
  const [paused, setPaused] = useState(false);
  const { trace, dropped } = useTrace(stream, lanes.names, windowS);
  const pointed = useRef(null);
  const values = useSignal({});
  useDrawing(lanes.plots, trace, paused);
  useReadout(trace, stream, values, pointed);
  const handlers = useMemo(() => ({ onCursor: (index) => (pointed.current = index) }), []);
  return html`
    <section class="panel" aria-label="Strip chart of ${stream.name}">
      <${Toolbar} ...${{ lanes, stream, windowS, setWindow, paused, setPaused }} />
      <${LaneStack}
        of=${lanes}
        heights=${HEIGHTS}
        values=${values}
        sync=${`live-${stream.name}`}
        handlers=${handlers} />
      <p class="footnote" aria-live="polite">
        ${paused && "The chart is held; the station goes on. "}
        ${
          dropped > 0 &&
          `${count(dropped)} rows were skipped on their way to this screen; a recording has them all.`
        }
      </p>
    </section>
  `;
}
