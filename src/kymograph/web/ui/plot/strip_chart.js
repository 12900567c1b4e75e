// The strip chart: any channels of a stream, scrolling, with the peaks kept.
import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { count, duration } from "../format.js";
import { calm, shade } from "../shell/theme.js";
import { Icon } from "../shell/icons.js";
import { api } from "../station/api.js";
import { live, stationNow } from "../station/state.js";
import { Choice } from "./choice.js";
import { ChannelChips, coloured, Lane, lanesOf, spanText, useSignal } from "./lanes.js";
import { Trace } from "./trace.js";

const LIVE_HZ = 20;
const FRAME_MS = 50;
const CALM_FRAME_MS = 1000;
const READOUT_MS = 200;
const HISTORY_POINTS = 1000;
const SHOWN_FIRST = 6;
const WINDOWS = [10, 30, 60, 120, 300, 600].map((s) => [s, duration(s).replace(/\s*00\ss$/, "")]);

/** Fill a trace with what the station still holds, and keep it filled; returns rows dropped on the way here. */
function useTrace(stream, names, windowS) {
  const [dropped, setDropped] = useState(0);
  const trace = useMemo(() => new Trace(names, windowS), [stream.name, names.join(), windowS]);
  useEffect(() => {
    const waiting = [];
    let filled = false;
    const stop = new AbortController();
    const channels = names.join(",");
    api
      .streamData(stream.name, { channels, seconds: windowS, max_points: Math.min(HISTORY_POINTS, windowS * LIVE_HZ) }, stop.signal)
      .then(({ time_ns: times, columns }) => trace.add(times.map((ns) => ns / 1e9), columns))
      .catch(() => undefined) // an empty ring: the live rows alone will do
      .finally(() => {
        filled = true;
        waiting.forEach(({ t, columns }) => trace.add(t, columns));
      });
    const leave = live.subscribe(
      { streams: [stream.name], channels: names, mode: "minmax", max_rate_hz: LIVE_HZ, resume: true },
      {
        data(message) {
          if (filled) trace.add(message.t, message.columns);
          else waiting.push(message);
          if (message.dropped) setDropped((sum) => sum + message.dropped);
        },
        gap: () => trace.cut(),
      },
    );
    return () => {
      stop.abort();
      leave();
    };
  }, [trace]);
  return { trace, dropped };
}

/** Draw the plots twenty times a second, or once where motion is unwelcome, until paused. */
function useDrawing(plots, trace, paused) {
  useEffect(() => {
    let frame = 0;
    let drawnAt = 0;
    const draw = (now) => {
      frame = requestAnimationFrame(draw);
      if (now - drawnAt < (calm.matches ? CALM_FRAME_MS : FRAME_MS)) return;
      drawnAt = now;
      const max = Math.max(stationNow() - 0.1, trace.last);
      for (const { plot, at } of plots.current) {
        plot.show(trace.t, at.map((i) => trace.low[i]), at.map((i) => trace.high[i]), max - trace.windowS, max);
      }
    };
    if (!paused) frame = requestAnimationFrame(draw);
    return () => cancelAnimationFrame(frame);
  }, [trace, paused]);
}

/** Say the values under the pointer, or the newest ones. */
function useReadout(trace, values, pointed) {
  useEffect(() => {
    const say = () => {
      const at = pointed.current ?? trace.t.length - 1;
      values.value = Object.fromEntries(
        trace.names.map((name, i) => [name, spanText(trace.low[i][at], trace.high[i][at])]),
      );
    };
    const timer = setInterval(say, READOUT_MS);
    return () => clearInterval(timer);
  }, [trace]);
}

function Toolbar({ stream, channels, shown, setShown, windowS, setWindow, together, setTogether, paused, setPaused }) {
  return html`
    <div class="toolbar">
      ${channels.length > 1 && html`<${ChannelChips} channels=${channels} shown=${shown} onChange=${setShown} />`}
      <div class="toolbar__end">
        ${channels.length > 1 &&
        html`<${Choice} label="Axes" value=${together} onChange=${setTogether}
          options=${[[true, "by unit"], [false, "one each"]]} />`}
        <${Choice} label="Length of the chart" options=${WINDOWS} value=${windowS} onChange=${setWindow} />
        <button class="button" aria-pressed=${paused} onClick=${() => setPaused(!paused)} aria-label="Pause ${stream.name}">
          <${Icon} name=${paused ? "play" : "pause"} />${paused ? "Go on" : "Pause"}
        </button>
      </div>
    </div>
  `;
}

export function StripChart({ stream, first }) {
  const channels = useMemo(() => coloured(stream.channels), [stream, shade.value]);
  const [shown, setShown] = useState(first ?? channels.slice(0, SHOWN_FIRST).map(({ name }) => name));
  const [windowS, setWindow] = useState(30);
  const [together, setTogether] = useState(true);
  const [paused, setPaused] = useState(false);
  const names = channels.map(({ name }) => name).filter((name) => shown.includes(name));
  const { trace, dropped } = useTrace(stream, names, windowS);
  const plots = useRef(new Set());
  const pointed = useRef(null);
  const values = useSignal({});
  useDrawing(plots, trace, paused);
  useReadout(trace, values, pointed);

  const lanes = lanesOf(channels.filter(({ name }) => shown.includes(name)), together);
  const height = lanes.length === 1 ? 240 : lanes.length <= 3 ? 150 : 110;
  const onPlot = (plot, drawn) => {
    const entry = { plot, at: drawn.map(({ name }) => names.indexOf(name)) };
    plots.current.add(entry);
    return () => plots.current.delete(entry);
  };
  return html`
    <section class="panel" aria-label="Strip chart of ${stream.name}">
      <${Toolbar} ...${{ stream, channels, shown, setShown, windowS, setWindow, together, setTogether, paused, setPaused }} />
      ${lanes.map(
        (lane, i) => html`
          <${Lane} key=${lane.map(({ name }) => name).join() + names.join()} channels=${lane} height=${height} values=${values} onPlot=${onPlot}
            sync=${`live-${stream.name}`} timeAxis=${i === lanes.length - 1} onCursor=${(index) => (pointed.current = index)} />
        `,
      )}
      <p class="footnote" aria-live="polite">
        ${paused && "Paused; the station goes on. "}
        ${dropped > 0 && `${count(dropped)} rows were skipped on their way to this screen; a recording has them all.`}
      </p>
    </section>
  `;
}
