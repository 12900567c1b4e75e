// The drawing of a stand with two feed lines: vessels, pipes that light up where something can flow, and the
// valves as buttons on top of it.
import { html, useEffect, useRef, useState } from "../html.js";
import { number } from "../format.js";
import { mediumOf, planFor } from "./feed_plan.js";
import { newest } from "./readings.js";
import { Valve } from "./valve.js";

const CHAMBER =
  "M0 14C0 6 6 0 14 0H96C112 0 118 34 132 38L170 14V82L132 58C118 62 112 96 96 96H14C6 96 0 90 0 82Z";
const HOT_BAR = 4;

function bar(channel) {
  const value = newest.value[channel];
  return value === undefined || value === null ? "–" : number(value, 3);
}

function Vessel({ medium, x, y, w, h, title, channel }) {
  return html`
    <g class="vessel vessel--${medium}" transform="translate(${x - w / 2} ${y - h / 2})">
      <rect width=${w} height=${h} rx=${h / 3.2} />
      <text class="vessel__title" x=${w / 2} y=${h > 62 ? h / 2 - 15 : h / 2 - 8}>${title}</text>
      <text class="vessel__value" x=${w / 2} y=${h > 62 ? h / 2 + 9 : h / 2 + 16}>${bar(channel)}</text>
      <text class="vessel__unit" x=${w / 2} y=${h / 2 + 27}>${h > 62 ? `${channel} bar` : ""}</text>
    </g>
  `;
}

function Chamber({ at }) {
  const hot = (newest.value[at.channel] ?? 0) > HOT_BAR;
  const shape =
    at.turn === 0
      ? `translate(${at.x} ${at.y}) scale(${at.w / 170} ${at.h / 96})`
      : `translate(${at.x + at.w} ${at.y}) rotate(90) scale(${at.h / 170} ${at.w / 96})`;
  return html`
    <g class="chamber ${hot ? "chamber--hot" : ""}">
      <path d=${CHAMBER} transform=${shape} />
      <text
        class="vessel__title"
        x=${at.tx - (at.turn ? 0 : 20)}
        y=${at.ty - (at.turn ? 24 : 20)}>Chamber</text>
      <text
        class="chamber__value"
        x=${at.tx - (at.turn ? 0 : 20)}
        y=${at.ty + (at.turn ? 0 : 12)}>${bar(at.channel)}</text>
      <text class="vessel__unit" x=${at.tx - (at.turn ? 0 : 20)} y=${at.ty + (at.turn ? 14 : 28)}>
        ${at.channel} bar
      </text>
    </g>
  `;
}

function Pipes({ plan, open }) {
  const flows = ({ when }) => when.some((name) => open.has(name));
  return plan.pipes.map(
    (pipe) => html`
      <path
        key=${pipe.d + pipe.when}
        class="pipe pipe--${pipe.medium} ${flows(pipe) ? "pipe--flows" : ""}"
        d=${pipe.d} />
    `,
  );
}

/** The width of an element in pixels, as it changes. */
function useWidth(node) {
  const [width, setWidth] = useState(0);
  useEffect(() => {
    const observer = new ResizeObserver(([entry]) => setWidth(Math.round(entry.contentRect.width)));
    observer.observe(node.current);
    return () => observer.disconnect();
  }, []);
  return width;
}

function Back({ plan, open }) {
  return html`
    <svg class="lines__back" viewBox="0 0 ${plan.width} ${plan.height}" aria-hidden="true">
      <${Pipes} plan=${plan} open=${open} />
      ${plan.vents.map(([x, y]) => html`<text class="vent" x=${x} y=${y + 5}>vent</text>`)}
      ${plan.vessels.map((vessel) => html`<${Vessel} key=${vessel.channel} ...${vessel} />`)}
      <${Chamber} at=${plan.chamber} />
      ${plan.gauges.map(
        ({ x, y, channel }) => html`
          <g key=${channel}>
            <text class="vessel__value" x=${x} y=${y}>${bar(channel)}</text>
            <text class="vessel__unit" x=${x} y=${y + 14}>${channel} bar</text>
          </g>
        `,
      )}
    </svg>
  `;
}

export function FeedLines({ valves, refused, onPress }) {
  const host = useRef(null);
  const width = useWidth(host);
  const plan = planFor(width);
  const open = new Set(valves.filter(({ value }) => value > 0).map(({ name }) => name));
  const placed = (name) => {
    const [x, y] = plan.valves[name];
    return { left: `${(x / plan.width) * 100}%`, top: `${(y / plan.height) * 100}%` };
  };
  return html`
    <div class="lines" ref=${host} style=${{ aspectRatio: `${plan.width} / ${plan.height}` }}>
      <${Back} plan=${plan} open=${open} />
      ${valves.map(
        (valve) => html`
          <${Valve}
            key=${valve.name}
            valve=${valve}
            kind=${valve.name === "IGNITION" ? "igniter" : "valve"}
            medium=${mediumOf(valve.name)}
            place=${placed(valve.name)}
            refused=${refused === valve.name}
            onPress=${() => onPress(valve)} />
        `,
      )}
    </div>
  `;
}
