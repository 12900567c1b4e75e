// Where the stations are: drawn here, from their coordinates alone. Drag, wheel, pinch, keys and buttons.
import { html, useEffect, useMemo, useRef, useState } from "../html.js";
import { Icon } from "../shell/icons.js";
import { fitted, graticule, labelled, projection, scaleBar, unrolled } from "./projection.js";
import { nameOf, ORDER, STATES } from "./states.js";

const K_MIN = 1;
const K_MAX = 2e6;
const STEP = 1.6;
const WHEEL_STEP = 1.25;
const MOVE_PX = 60;
const CLICK_PX = 5;
const BUTTONS_PX = 58;
const KEYS = {
  ArrowLeft: [-MOVE_PX, 0],
  ArrowRight: [MOVE_PX, 0],
  ArrowUp: [0, -MOVE_PX],
  ArrowDown: [0, MOVE_PX],
};

/** The size of a box as it is on the page. */
function useSize(box) {
  const [size, setSize] = useState(null);
  useEffect(() => {
    const observer = new ResizeObserver(([{ contentRect: rect }]) =>
      setSize({ width: Math.round(rect.width), height: Math.round(rect.height) }),
    );
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  return size;
}

/** Zoom around a point of the box that stays where it is. */
function zoomed(view, factor, to, at) {
  const k = Math.min(Math.max(view.k * factor, K_MIN), K_MAX);
  const real = k / view.k;
  const [x, y] = [to.longitude(at.x), to.latitude(at.y)];
  return { k, x: x + (view.x - x) / real, y: y + (view.y - y) / real };
}

function moved(view, dx, dy, to, size) {
  return {
    ...view,
    x: to.longitude(size.width / 2 + dx),
    y: Math.min(Math.max(to.latitude(size.height / 2 + dy), -90), 90),
  };
}

function middleOf(pointers) {
  const all = [...pointers.values()];
  const sum = all.reduce((a, b) => ({ x: a.x + b.x / all.length, y: a.y + b.y / all.length }), { x: 0, y: 0 });
  const apart = all.length > 1 ? Math.hypot(all[0].x - all[1].x, all[0].y - all[1].y) : 0;
  return { ...sum, apart };
}

/** One pointer moves the map, two also zoom it. `held.current` is `{ view, to, size, setView }`. */
function useHands(box, held) {
  const pointers = useRef(new Map());
  const before = useRef(null);
  const way = useRef(0);
  const place = (event) => {
    const rect = box.current.getBoundingClientRect();
    return { x: event.clientX - rect.left, y: event.clientY - rect.top };
  };
  useEffect(() => {
    const turn = (event) => {
      event.preventDefault();
      const { view, to, setView } = held.current;
      setView(zoomed(view, event.deltaY < 0 ? WHEEL_STEP : 1 / WHEEL_STEP, to, place(event)));
    };
    const node = box.current;
    node.addEventListener("wheel", turn, { passive: false });
    return () => node.removeEventListener("wheel", turn);
  }, []);
  const down = (event) => {
    if (!pointers.current.size) way.current = 0;
    pointers.current.set(event.pointerId, place(event));
    before.current = middleOf(pointers.current);
  };
  const move = (event) => {
    if (!pointers.current.has(event.pointerId)) return;
    pointers.current.set(event.pointerId, place(event));
    const now = middleOf(pointers.current);
    const { view, to, size, setView } = held.current;
    way.current += Math.hypot(now.x - before.current.x, now.y - before.current.y);
    if (way.current > CLICK_PX) {
      const next = moved(view, before.current.x - now.x, before.current.y - now.y, to, size);
      const factor = before.current.apart && now.apart ? now.apart / before.current.apart : 1;
      setView(factor === 1 ? next : zoomed(next, factor, to, now));
    }
    before.current = now;
  };
  const up = (event) => {
    pointers.current.delete(event.pointerId);
    before.current = middleOf(pointers.current);
  };
  return {
    wasDragged: () => way.current > CLICK_PX,
    on: { onPointerDown: down, onPointerMove: move, onPointerUp: up, onPointerCancel: up, onPointerLeave: up },
  };
}

function Graticule({ to, size }) {
  const { meridians, parallels } = graticule(to, size.width, size.height);
  return html`
    <g class="map__grid" aria-hidden="true">
      ${meridians.map(({ at }) => html`<path d="M${at} 0V${size.height}" />`)}
      ${parallels.map(({ at }) => html`<path d="M0 ${at}H${size.width}" />`)}
      ${meridians
        .filter(({ at }) => at > 40 && at < size.width - 40)
        .map(({ at, text }) => html`<text x=${at} y="14" text-anchor="middle">${text}</text>`)}
      ${parallels
        .filter(({ at }) => at > 24 && at < size.height - 50)
        .map(({ at, text }) => html`<text x="6" y=${at - 4}>${text}</text>`)}
    </g>
  `;
}

function Scale({ view, size }) {
  const { px, text } = scaleBar(view.k);
  const y = size.height - 16;
  return html`
    <g class="map__scale" aria-label="Scale: ${text}">
      <path d="M14 ${y - 6}V${y}H${14 + px}V${y - 6}" />
      <text x=${14 + px / 2} y=${y - 8} text-anchor="middle">${text}</text>
    </g>
  `;
}

function Point({ point, chosen, onPick }) {
  const { x, y, one, name, label } = point;
  const [anchor, dx, dy] = label ?? ["middle", 0, -14];
  const pressed = (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    onPick(one.station);
  };
  return html`
    <g
      class="map__station map__station--${one.state} ${chosen ? "map__station--chosen" : ""}"
      transform="translate(${x} ${y})"
      role="button"
      tabindex="0"
      aria-pressed=${chosen}
      aria-label="${name}, ${STATES[one.state]?.words ?? one.state}"
      data-station=${one.station}
      onClick=${() => onPick(one.station)}
      onKeyDown=${pressed}>
      <circle class="map__touch" r="22" />
      ${chosen && html`<circle class="map__halo" r="15" />`}
      <path class="map__sign" d=${STATES[one.state]?.shape ?? STATES.never.shape} />
      ${
        (label || chosen) &&
        html`<text x=${dx} y=${dy - (chosen && !label ? 6 : 0)} text-anchor=${anchor}>${name}</text>`
      }
    </g>
  `;
}

function Buttons({ zoom, fit }) {
  const square = "button button--square";
  return html`
    <div class="map__buttons" role="group" aria-label="Map">
      <button class=${square} aria-label="Nearer" onClick=${() => zoom(STEP)}><${Icon} name="plus" /></button>
      <button class=${square} aria-label="Farther" onClick=${() => zoom(1 / STEP)}>
        <${Icon} name="minus" />
      </button>
      <button class=${square} aria-label="All stations" title="All stations" onClick=${fit}>
        <${Icon} name="fit" />
      </button>
    </div>
  `;
}

const pointsOf = (places, to, chosen) =>
  places
    .map((one) => ({ one, name: nameOf(one), x: to.px(one.x), y: to.py(one.latitude) }))
    .sort(
      (a, b) =>
        (b.one.station === chosen) - (a.one.station === chosen) ||
        ORDER.indexOf(a.one.state) - ORDER.indexOf(b.one.state),
    );

/** `items` are stations with a place; `onPick(station)` when one is chosen on the map. */
export function FleetMap({ items, chosen, onPick }) {
  const box = useRef(null);
  const size = useSize(box);
  const [own, setView] = useState(null);
  const where = items.map(({ latitude, longitude }) => `${latitude},${longitude}`).join(";");
  const places = unrolled(items);
  const whole = useMemo(() => size && fitted(places, size.width, size.height), [where, size]);
  const view = own ?? whole;
  const to = view && projection(view, size.width, size.height, whole.y);
  const held = useRef({});
  held.current = { view, to, size, setView };
  const hands = useHands(box, held);
  const zoom = (factor) => setView(zoomed(view, factor, to, { x: size.width / 2, y: size.height / 2 }));
  const pressed = (event) => {
    if (KEYS[event.key]) setView(moved(view, ...KEYS[event.key], to, size));
    else if (event.key === "+" || event.key === "=") zoom(STEP);
    else if (event.key === "-") zoom(1 / STEP);
    else return;
    event.preventDefault();
  };
  const points = to && labelled(pointsOf(places, to, chosen), size.width - BUTTONS_PX);
  return html`
    <div class="map" data-test="map">
      <div
        class="map__box"
        ref=${box}
        tabindex="0"
        role="group"
        aria-label="Map of the fleet; arrow keys move it, plus and minus zoom"
        onKeyDown=${pressed}
        ...${hands.on}>
        ${
          to &&
          html`<svg width=${size.width} height=${size.height}>
            <${Graticule} to=${to} size=${size} />
            ${[...points]
              .reverse()
              .map(
                (point) =>
                  html`<${Point}
                    key=${point.one.station}
                    point=${point}
                    chosen=${point.one.station === chosen}
                    onPick=${(name) => hands.wasDragged() || onPick(name)} />`,
              )}
            <${Scale} view=${view} size=${size} />
          </svg>`
        }
      </div>
      <${Buttons} zoom=${zoom} fit=${() => setView(null)} />
    </div>
  `;
}
