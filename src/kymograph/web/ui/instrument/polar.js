// The polar panel: a lidar's turns as they come, with range, colour and a pointer that reads a point.
import { html, useEffect, useRef, useState } from "../html.js";
import { number } from "../format.js";
import { drawEvery } from "../shell/frames.js";
import { shade } from "../shell/theme.js";
import { Icon } from "../shell/icons.js";
import { live } from "../station/state.js";
import { Choice } from "../plot/choice.js";
import { PolarView } from "./polar_view.js";
import { colourSource, samples, scanChannels } from "./scan.js";

const LIVE_HZ = 25;
const FRAME_MS = 40;

/** Subscribe a view to a stream and draw it until the component goes. */
function usePolar(stream, canvas, options, onTurn) {
  const view = useRef(null);
  useEffect(() => {
    const node = canvas.current;
    view.current = new PolarView(node, options);
    const leave = live.subscribe(
      { streams: [stream.name], channels: scanChannels(stream), mode: "raw", max_rate_hz: LIVE_HZ },
      {
        data: ({ columns }) => view.current.add(samples(stream, columns, view.current.tone.name)),
      },
    );
    const stopDrawing = drawEvery(FRAME_MS, () => {
      view.current.draw();
      node.dataset.points = view.current.points;
    });
    const timer = onTurn && setInterval(() => onTurn(view.current), 500);
    return () => {
      stopDrawing();
      clearInterval(timer);
      leave();
    };
  }, [stream.name]);
  useEffect(() => view.current?.retint(), [shade.value]);
  return view;
}

/** The polar view of a card: no lettering. */
export function MiniPolar({ stream }) {
  const canvas = useRef(null);
  usePolar(stream, canvas, { mini: true });
  return html`<canvas
    class="mini-polar"
    ref=${canvas}
    role="img"
    aria-label="Live scan of ${stream.name}" />`;
}

/** Let two fingers change the range: calls `step(±1)` each time their distance changes by a fifth. */
function usePinch(canvas, step) {
  useEffect(() => {
    const node = canvas.current;
    let apart = 0;
    const measure = ([a, b]) => Math.hypot(a.clientX - b.clientX, a.clientY - b.clientY);
    const begin = (event) => (apart = event.touches.length === 2 ? measure(event.touches) : 0);
    const move = (event) => {
      if (!apart || event.touches.length !== 2) return;
      event.preventDefault();
      const now = measure(event.touches);
      if (Math.abs(Math.log(now / apart)) < 0.2) return;
      step(now > apart ? -1 : 1);
      apart = now;
    };
    const wheel = (event) => {
      if (!event.ctrlKey && !event.shiftKey && document.activeElement !== node) return;
      event.preventDefault();
      step(Math.sign(event.deltaY));
    };
    node.addEventListener("touchstart", begin, { passive: true });
    node.addEventListener("touchmove", move, { passive: false });
    node.addEventListener("wheel", wheel, { passive: false });
    return () => {
      node.removeEventListener("touchstart", begin);
      node.removeEventListener("touchmove", move);
      node.removeEventListener("wheel", wheel);
    };
  }, []);
}

function Scale({ low, high, unit }) {
  return html`
    <div class="scale" aria-hidden="true">
      <span>${number(low, 3)}</span><i class="scale__ramp"></i><span>${number(high, 3)} ${unit}</span>
    </div>
  `;
}

function pointText(point, tone) {
  if (!point) return "Point at an echo to read it.";
  const extra = tone.name === "distance" ? "" : ` · ${tone.name} ${number(point.tone, 3)} ${tone.unit}`;
  return `${number(point.distance, 4)} m at ${number(point.angle, 4)}°${extra}`;
}

/** Read the point under the pointer; returns it and the handlers of the canvas. */
function usePoint(canvas, view) {
  const [point, setPoint] = useState(null);
  const show = (found) => {
    view.current.pointer = found;
    setPoint(found);
  };
  const onPointerMove = (event) => {
    const box = canvas.current.getBoundingClientRect();
    show(view.current.nearest(event.clientX - box.left, event.clientY - box.top));
  };
  return [point, { onPointerMove, onPointerLeave: () => show(null) }];
}

function Tools({ tones, tone, high, colourBy, step, fit }) {
  const options = tones.map((name) => [name, name]);
  return html`
    <div class="toolbar">
      ${
        tones.length > 1 &&
        html`<${Choice} label="Colour by" options=${options} value=${tone.name} onChange=${colourBy} />`
      }
      <${Scale} low=${tone.low} high=${high} unit=${tone.unit} />
      <div class="toolbar__end">
        <button class="button button--square" aria-label="Nearer" onClick=${() => step(-1)}>
          <${Icon} name="plus" />
        </button>
        <button class="button button--square" aria-label="Farther" onClick=${() => step(1)}>
          <${Icon} name="minus" />
        </button>
        <button class="button" onClick=${fit}><${Icon} name="fit" />Fit</button>
      </div>
    </div>
  `;
}

export function Polar({ stream }) {
  const canvas = useRef(null);
  const [facts, setFacts] = useState({ points: 0, radius: 4, high: 4 });
  const [tone, setTone] = useState(colourSource(stream, "distance"));
  const tones = scanChannels(stream).filter((name) => name === "distance" || name === "intensity");
  const tell = ({ pointsInTurn, radiusM, tone: { high } }) =>
    setFacts({ points: pointsInTurn, radius: radiusM, high });
  const view = usePolar(stream, canvas, {}, tell);
  const [point, pointing] = usePoint(canvas, view);
  const step = (by) => {
    view.current.zoom(by);
    tell(view.current);
  };
  usePinch(canvas, step);
  const colourBy = (name) => {
    view.current.tint(colourSource(stream, name));
    setTone(view.current.tone);
  };
  const fit = () => (view.current.range = 0);
  return html`
    <section class="panel polar" aria-label="Polar view of ${stream.name}">
      <${Tools} ...${{ tones, tone, high: facts.high, colourBy, step, fit }} />
      <canvas
        class="polar__canvas"
        ref=${canvas}
        tabindex="0"
        role="img"
        aria-label="Distances around the sensor, radius ${facts.radius} metres"
        ...${pointing} />
      <p class="footnote polar__facts">
        <span>${pointText(point, tone)}</span>
        <span>Radius <b>${facts.radius} m</b> · <b>${facts.points}</b> echoes a turn · 0° is up</span>
      </p>
    </section>
  `;
}
