// A small strip without axes, for a card: the shape of the last half minute.
import { html, useEffect, useRef } from "../html.js";
import { drawEvery } from "../shell/frames.js";
import { shade, traceColours } from "../shell/theme.js";
import { stationNow } from "../station/state.js";
import { keepFilled } from "./filling.js";
import { Trace } from "./trace.js";

const WINDOW_S = 30;
const LIVE_HZ = 20;
const FRAME_MS = 100;

/** Make the canvas as large as it is shown, and return what to draw with. */
function prepared(canvas) {
  const ratio = devicePixelRatio || 1;
  const { clientWidth: width, clientHeight: height } = canvas;
  if (canvas.width !== Math.round(width * ratio) || canvas.height !== Math.round(height * ratio)) {
    canvas.width = Math.round(width * ratio);
    canvas.height = Math.round(height * ratio);
  }
  const ctx = canvas.getContext("2d");
  ctx.setTransform(ratio, 0, 0, ratio, 0, 0);
  ctx.clearRect(0, 0, width, height);
  return { ctx, width, height };
}

/** Return the stretches without a gap, as pairs of indices. */
function stretches(column) {
  const found = [];
  let start = 0;
  for (let k = 0; k <= column.length; k += 1) {
    if (k < column.length && column[k] !== null) continue;
    if (k > start) found.push([start, k]);
    start = k + 1;
  }
  return found;
}

/** Draw one channel as a band that fills the canvas. */
function drawBand(canvas, trace, i, color) {
  const { ctx, width, height } = prepared(canvas);
  const [low, high] = [trace.low[i], trace.high[i]];
  const known = [...low, ...high].filter((v) => v !== null);
  if (!known.length) return;
  const bottom = known.reduce((a, b) => Math.min(a, b));
  const room = known.reduce((a, b) => Math.max(a, b)) - bottom || 1;
  const end = Math.max(stationNow() - 0.1, trace.last);
  const x = (k) => (1 - (end - trace.t[k]) / WINDOW_S) * width;
  const y = (v) => height - 3 - ((v - bottom) / room) * (height - 6);
  ctx.fillStyle = `${color}66`;
  ctx.strokeStyle = color;
  ctx.lineWidth = 1.2;
  ctx.lineJoin = "round";
  for (const [from, to] of stretches(low)) {
    ctx.beginPath();
    for (let k = from; k < to; k += 1) ctx.lineTo(x(k), y(high[k]));
    for (let k = to - 1; k >= from; k -= 1) ctx.lineTo(x(k), y(low[k]));
    ctx.closePath();
    ctx.fill();
    ctx.stroke();
  }
}

export function MiniTraces({ stream, names }) {
  const canvases = useRef([]);
  useEffect(() => {
    const trace = new Trace(names, WINDOW_S);
    const colours = traceColours();
    const leave = keepFilled(trace, stream.name, { points: WINDOW_S * LIVE_HZ, rateHz: LIVE_HZ });
    const stopDrawing = drawEvery(FRAME_MS, () =>
      canvases.current.forEach((canvas, i) => {
        if (canvas) drawBand(canvas, trace, i, colours[i % colours.length]);
      }),
    );
    return () => {
      stopDrawing();
      leave();
    };
  }, [stream.name, names.join(), shade.value]);
  return names.map(
    (name, i) =>
      html`<canvas
        key=${name}
        class="mini"
        ref=${(node) => (canvases.current[i] = node)}
        aria-hidden="true" />`,
  );
}
