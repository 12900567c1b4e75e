// A small strip without axes, for a card: the shape of the last half minute.
import { html, useEffect, useRef } from "../html.js";
import { calm, shade, traceColours } from "../shell/theme.js";
import { live, stationNow } from "../station/state.js";
import { api } from "../station/api.js";
import { Trace } from "./trace.js";

const WINDOW_S = 30;
const LIVE_HZ = 10;

/** Draw one channel as a band that fills the canvas. */
function drawBand(canvas, trace, i, color) {
  const ratio = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  const lows = trace.low[i].filter((v) => v !== null);
  const highs = trace.high[i].filter((v) => v !== null);
  if (!lows.length) return;
  const bottom = Math.min(...lows);
  const room = Math.max(...highs) - bottom || 1;
  const end = Math.max(stationNow() - 0.1, trace.last);
  const x = (t) => (1 - (end - t) / WINDOW_S) * width;
  const y = (v) => height - 3 - ((v - bottom) / room) * (height - 6);
  ctx.fillStyle = color;
  ctx.strokeStyle = color;
  ctx.lineWidth = 1.4;
  ctx.beginPath();
  let open = false;
  trace.t.forEach((t, k) => {
    const [low, high] = [trace.low[i][k], trace.high[i][k]];
    if (low === null) {
      open = false;
      return;
    }
    const middle = y((low + high) / 2);
    if (open) ctx.lineTo(x(t), middle);
    else ctx.moveTo(x(t), middle);
    open = true;
    const tall = y(low) - y(high);
    if (tall > 1.5) ctx.fillRect(x(t) - 0.6, y(high), 1.2, tall);
  });
  ctx.stroke();
}

export function MiniTraces({ stream, names }) {
  const canvases = useRef([]);
  useEffect(() => {
    const trace = new Trace(names, WINDOW_S);
    const colours = traceColours();
    api
      .streamData(stream.name, { channels: names.join(","), seconds: WINDOW_S, max_points: 400 })
      .then(({ time_ns: times, columns }) => trace.t.length || trace.add(times.map((ns) => ns / 1e9), columns))
      .catch(() => undefined);
    const leave = live.subscribe(
      { streams: [stream.name], channels: names, mode: "minmax", max_rate_hz: LIVE_HZ, resume: true },
      { data: ({ t, columns }) => trace.add(t, columns), gap: () => trace.cut() },
    );
    const timer = setInterval(
      () => canvases.current.forEach((canvas, i) => canvas && drawBand(canvas, trace, i, colours[i % colours.length])),
      calm.matches ? 1000 : 1000 / LIVE_HZ,
    );
    return () => {
      clearInterval(timer);
      leave();
    };
  }, [stream.name, names.join(), shade.value]);
  return names.map((name, i) => html`<canvas key=${name} class="mini" ref=${(node) => (canvases.current[i] = node)} aria-hidden="true" />`);
}
