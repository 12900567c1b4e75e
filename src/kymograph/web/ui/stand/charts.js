// Strip charts of all channels at once: pressures and temperatures large, the others small, on one time axis.
import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { duration, number } from "../format.js";
import { Choice } from "../plot/choice.js";
import { coloured, Lane, lanesOf, useSignal } from "../plot/lanes.js";
import { drawEvery } from "../shell/frames.js";
import { Icon } from "../shell/icons.js";
import { shade } from "../shell/theme.js";
import { stationNow } from "../station/state.js";
import { grouped } from "./groups.js";
import { newest } from "./readings.js";

const FRAME_MS = 16;
const SHARE = 0.85; // this page is for watching: its charts may take what the machine has, if it has no more
const READOUT_MS = 250;
const LOOK_MS = 1000;
const BEHIND_S = 0.12;
const HEIGHT_LARGE_MIN = 230;
const HEIGHT_SMALL = 84;
const KEYS_PX = 26;
const GAP_PX = 10;
const WINDOWS = [10, 30, 60, 120, 300].map((s) => [s, duration(s).replace(/\s*00\ss$/, "")]);

/** Give each channel its colour within its own lane, so that eight colours are enough. */
function colouredLanes(channels) {
  return lanesOf(channels, true).map((lane) => coloured(lane));
}

/** `{ large: lanes, small: lanes }` of a stream's channels. */
function arranged(channels) {
  const groups = Object.fromEntries(grouped(channels));
  const large = [groups.Pressures, groups.Temperatures].filter(Boolean).flatMap(colouredLanes);
  const small = colouredLanes(groups.Others ?? []);
  return large.length ? { large, small } : { large: small, small: [] };
}

/** Whether any of an element is on the screen now; nothing else needs to be drawn. */
function inSight(node) {
  const { top, bottom } = node.getBoundingClientRect();
  return bottom > 0 && top < innerHeight;
}

/** Draw all plots, until paused: as often as wanted, at most as much as the machine can. */
function useDrawing(plots, trace, paused) {
  useEffect(() => {
    if (paused) return undefined;
    return drawEvery(FRAME_MS, () => {
      const max = Math.max(stationNow() - BEHIND_S, trace.last);
      for (const { plot, at } of plots.current) {
        if (!inSight(plot.host)) continue;
        const low = at.map((i) => trace.low[i]);
        const high = at.map((i) => trace.high[i]);
        plot.show(trace.t, low, high, max - trace.windowS, max);
      }
    }, SHARE);
  }, [trace, paused]);
}

/** The values beside the keys: under the pointer, or the newest. */
function useReadout(trace, pointed) {
  const values = useSignal({});
  useEffect(() => {
    const say = () => {
      const at = pointed.current;
      if (at === null) values.value = newest.peek();
      else
        values.value = Object.fromEntries(
          trace.names.map((name, i) => [name, number(trace.high[i][at])]),
        );
    };
    const timer = setInterval(say, READOUT_MS);
    return () => clearInterval(timer);
  }, [trace]);
  return values;
}

/** The names of channels that were not sent once in all of a trace, as they come to be known. */
function useSilent(trace) {
  const [silent, setSilent] = useState("");
  useEffect(() => {
    const look = () => {
      const isSilent = (i) => trace.t.length > 0 && trace.low[i].every((value) => value === null);
      setSilent(trace.names.filter((_, i) => isSilent(i)).join());
    };
    const timer = setInterval(look, LOOK_MS);
    return () => clearInterval(timer);
  }, [trace]);
  return useMemo(() => new Set(silent.split(",")), [silent]);
}

/** As high as it takes for both columns to end at the same height. */
function largeHeight(large, small) {
  const beside = small * (HEIGHT_SMALL + KEYS_PX + GAP_PX) - large * GAP_PX;
  return Math.max(HEIGHT_LARGE_MIN, Math.round(beside / Math.max(1, large)) - 2 * KEYS_PX);
}

function Lanes({ lanes, height, trace, plots, values, pointed, timeAxis }) {
  const onPlot = (plot, drawn) => {
    const entry = { plot, at: drawn.map(({ name }) => trace.names.indexOf(name)) };
    plots.current.add(entry);
    return () => plots.current.delete(entry);
  };
  const onCursor = useMemo(() => (index) => (pointed.current = index), []);
  return lanes.map(
    (lane, i) => html`
      <${Lane}
        key=${[...lane.map(({ name }) => name), trace.windowS, height].join()}
        channels=${lane}
        height=${height}
        values=${values}
        onPlot=${onPlot}
        onCursor=${onCursor}
        sync="stand"
        plain
        timeAxis=${timeAxis || i === lanes.length - 1} />
    `,
  );
}

export function Charts({ channels, trace, windowS, setWindow }) {
  const [paused, setPaused] = useState(false);
  const plots = useRef(new Set());
  const pointed = useRef(null);
  const values = useReadout(trace, pointed);
  const silent = useSilent(trace);
  const { large, small } = useMemo(
    () => arranged(channels.filter(({ name }) => !silent.has(name))),
    [channels.length, silent, shade.value],
  );
  useDrawing(plots, trace, paused);
  const shared = { trace, plots, values, pointed };
  return html`
    <section class="panel" aria-label="Strip charts">
      <div class="toolbar">
        <h2>Strip charts</h2>
        <div class="toolbar__end">
          <${Choice} label="Length of the charts" options=${WINDOWS} value=${windowS} onChange=${setWindow} />
          <button class="button" aria-pressed=${paused} onClick=${() => setPaused(!paused)}>
            <${Icon} name=${paused ? "play" : "pause"} />${paused ? "Go on" : "Hold"}
          </button>
        </div>
      </div>
      <div class="charts ${small.length ? "" : "charts--one"}">
        <div class="charts__large"><${Lanes}
          lanes=${large}
          height=${largeHeight(large.length, small.length)}
          ...${shared} /></div>
        ${small.length > 0 && html`<div class="charts__small"><${Lanes}
          lanes=${small}
          height=${HEIGHT_SMALL}
          ...${shared} /></div>`}
      </div>
      <p class="footnote">${!silent.has("") && `Not sent: ${[...silent].join(", ")}.`}</p>
    </section>
  `;
}
