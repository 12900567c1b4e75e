// A recorded scan, looked at again: the turn at a chosen moment, or played as it happened.
import { html, useEffect, useRef, useState } from "../html.js";
import { timeOfDay, toNs } from "../format.js";
import { colourSource, samples, scanChannels } from "../instrument/scan.js";
import { PolarView } from "../instrument/polar_view.js";
import { shade } from "../shell/theme.js";
import { Icon } from "../shell/icons.js";
import { api } from "../station/api.js";
import { attempt } from "../station/state.js";

const LOOK_BACK_S = 0.5; // more than two turns of the slowest device
const CHUNK_S_MAX = 2;
const POINTS_MAX = 20_000;
const STEP_S = 1;

/** Read the samples between two moments, with their times in seconds. */
async function read(id, stream, from, to) {
  const query = {
    stream: stream.name,
    channels: scanChannels(stream).join(","),
    start: toNs(from),
    stop: toNs(to),
    max_points: POINTS_MAX,
  };
  const answer = await attempt(api.recordingData(id, query));
  if (!answer || answer.mode !== "raw") return null;
  return { t: answer.time_ns.map((ns) => ns / 1e9), ...samples(stream, answer.columns, "distance") };
}

function part({ distance, angle, scan, tone }, from, to) {
  return {
    distance: distance.slice(from, to),
    angle: angle.slice(from, to),
    scan: scan?.slice(from, to),
    tone: tone.slice(from, to),
  };
}

/** Show the turn before `at`. */
function useStill(view, id, stream, at, playing) {
  useEffect(() => {
    if (playing) return undefined;
    let wanted = true;
    read(id, stream, at - LOOK_BACK_S, at).then((found) => {
      if (!wanted || !found) return;
      view.current.tint(colourSource(stream, "distance"));
      view.current.add(found);
      view.current.draw();
    });
    return () => (wanted = false);
  }, [id, stream.name, at, playing]);
}

/** Play from `at` on at the speed of the original, reading a piece ahead. */
function usePlaying(view, { id, stream, at, end, playing, onAt, onEnd }) {
  useEffect(() => {
    if (!playing) return undefined;
    let wanted = true;
    const pieceS = Math.min(CHUNK_S_MAX, (POINTS_MAX * 0.8) / Math.max(stream.rate_hz, 1));
    const play = async () => {
      let next = read(id, stream, at, at + pieceS);
      for (let from = at; wanted && from < end; from += pieceS) {
        const piece = await next;
        next = read(id, stream, from + pieceS, from + 2 * pieceS);
        if (wanted && piece) await showPiece(view.current, piece, from, pieceS, () => wanted);
        if (wanted) onAt(Math.min(from + pieceS, end));
      }
      if (wanted) onEnd();
    };
    play();
    return () => (wanted = false);
  }, [playing, stream.name]);
}

/** Draw a piece row by row in its own time; resolves when it is over. */
function showPiece(view, piece, from, lengthS, isWanted) {
  return new Promise((done) => {
    const began = performance.now();
    let shown = 0;
    const frame = (now) => {
      const until = from + (now - began) / 1000;
      let to = shown;
      while (to < piece.t.length && piece.t[to] <= until) to += 1;
      view.add(part(piece, shown, to));
      shown = to;
      view.draw();
      if (isWanted() && until < from + lengthS) requestAnimationFrame(frame);
      else done();
    };
    requestAnimationFrame(frame);
  });
}

/** A view for the canvas, redrawn when its size or the theme changes. */
function useView(canvas, stream) {
  const view = useRef(null);
  useEffect(() => {
    view.current = new PolarView(canvas.current);
    const observer = new ResizeObserver(() => view.current.draw());
    observer.observe(canvas.current);
    return () => observer.disconnect();
  }, [stream.name]);
  useEffect(() => {
    view.current.retint();
    view.current.draw();
  }, [shade.value]);
  return view;
}

function Buttons({ playing, setPlaying, step }) {
  return html`
    <div class="toolbar__end">
      <button class="button button--square" aria-label="A second earlier" onClick=${() => step(-STEP_S)}>
        <${Icon} name="back" />
      </button>
      <button class="button" onClick=${() => setPlaying(!playing)} aria-pressed=${playing}>
        <${Icon} name=${playing ? "pause" : "play"} />${playing ? "Pause" : "Play"}
      </button>
      <button class="button button--square" aria-label="A second later" onClick=${() => step(STEP_S)}>
        <${Icon} name="next" />
      </button>
    </div>
  `;
}

export function Turns({ recording, stream, at, setAt }) {
  const canvas = useRef(null);
  const [playing, setPlaying] = useState(false);
  const first = recording.started_ns / 1e9 + STEP_S;
  const end = recording.ended_ns ? recording.ended_ns / 1e9 : Infinity;
  const moment = at ?? first;
  const view = useView(canvas, stream);
  useStill(view, recording.id, stream, moment, playing);
  const onEnd = () => setPlaying(false);
  usePlaying(view, { id: recording.id, stream, at: moment, end, playing, onAt: setAt, onEnd });
  const step = (by) => {
    setPlaying(false);
    setAt(Math.max(first, Math.min(end, moment + by)));
  };
  return html`
    <section class="panel polar" aria-label="The scan at ${timeOfDay(moment, 1)}">
      <div class="toolbar">
        <h2>The scan at <span class="nowrap">${timeOfDay(moment, 1)}</span></h2>
        <${Buttons} ...${{ playing, setPlaying, step }} />
      </div>
      <canvas
        class="polar__canvas polar__canvas--still"
        ref=${canvas}
        role="img"
        aria-label="Distances around the sensor" />
      <p class="footnote">Click into the preview to look at another moment.</p>
    </section>
  `;
}
