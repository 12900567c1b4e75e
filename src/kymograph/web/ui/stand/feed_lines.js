// The drawing of a stand with two feed lines: vessels, pipes that light up where something can flow, and the
// valves as buttons on top of it. The pressures are where the station file has them; others stand beside it.
import { computed, html, useEffect, useRef, useState } from "../html.js";
import { number, unitSign } from "../format.js";
import { station, streamsOf } from "../station/state.js";
import { mediumOf, planFor } from "./feed_plan.js";
import { isPressure } from "./groups.js";
import { newest } from "./readings.js";
import { Valve } from "./valve.js";

const CHAMBER =
  "M0 14C0 6 6 0 14 0H96C112 0 118 34 132 38L170 14V82L132 58C118 62 112 96 96 96H14C6 96 0 90 0 82Z";
const HOT_BAR = 4;
const HIGH_MIN = 62;

/** Where the station file says that channels are: `{ P1: "oxygen bottle" }`. */
const places = computed(() => station.value?.dashboard?.stand?.places ?? {});

/** The pressures of an instrument: by their place, and those that have none. */
function pressuresOf(instrument) {
  const all = streamsOf(instrument).flatMap(({ channels }) => channels.filter(isPressure));
  const known = all.filter(({ name }) => places.value[name]);
  return {
    at: Object.fromEntries(known.map((channel) => [places.value[channel.name], channel])),
    beside: all.filter((channel) => !known.includes(channel)),
  };
}

function valueOf({ name }) {
  const value = newest.value[name];
  return value === undefined || value === null ? "–" : number(value, 3);
}

function nameOf({ name, unit }) {
  return `${name} ${unitSign(unit)}`.trim();
}

function Vessel({ medium, x, y, w, h, title, channel }) {
  const high = h > HIGH_MIN;
  return html`
    <g class="vessel vessel--${medium}" transform="translate(${x - w / 2} ${y - h / 2})">
      <rect width=${w} height=${h} rx=${h / 3.2} />
      <text
        class="vessel__title"
        x=${w / 2}
        y=${channel ? h / 2 - (high ? 15 : 8) : h / 2 + 5}>${title}</text>
      ${channel && html`<text
        class="vessel__value"
        x=${w / 2}
        y=${h / 2 + (high ? 9 : 16)}>${valueOf(channel)}</text>`}
      ${channel && high && html`<text class="vessel__unit" x=${w / 2} y=${h / 2 + 27}>${nameOf(channel)}</text>`}
    </g>
  `;
}

function Chamber({ at, channel }) {
  const hot = channel?.unit === "bar" && newest.value[channel.name] > HOT_BAR;
  const shape =
    at.turn === 0
      ? `translate(${at.x} ${at.y}) scale(${at.w / 170} ${at.h / 96})`
      : `translate(${at.x + at.w} ${at.y}) rotate(90) scale(${at.h / 170} ${at.w / 96})`;
  const [title, value, unit] = at.turn ? [-24, 0, 14] : [-20, 12, 28];
  return html`
    <g class="chamber ${hot ? "chamber--hot" : ""}">
      <path d=${CHAMBER} transform=${shape} />
      <text class="vessel__title" x=${at.tx} y=${at.ty + (channel ? title : 5)}>Chamber</text>
      ${channel && html`
        <text class="chamber__value" x=${at.tx} y=${at.ty + value}>${valueOf(channel)}</text>
        <text class="vessel__unit" x=${at.tx} y=${at.ty + unit}>${nameOf(channel)}</text>
      `}
    </g>
  `;
}

function Gauge({ x, y, channel }) {
  return html`
    <g>
      <text class="vessel__value" x=${x} y=${y}>${valueOf(channel)}</text>
      <text class="vessel__unit" x=${x} y=${y + 14}>${nameOf(channel)}</text>
    </g>
  `;
}

/** Pressures of which nobody has said where they are. */
function Beside({ channels }) {
  return html`
    <dl class="beside" aria-label="Pressures beside the drawing" data-test="beside">
      ${channels.map(
        (channel) => html`<div key=${channel.name} title=${channel.description || channel.name}>
          <dt>${channel.name}</dt>
          <dd>${valueOf(channel)} <small>${unitSign(channel.unit)}</small></dd>
        </div>`,
      )}
    </dl>
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

function Back({ plan, open, at }) {
  return html`
    <svg class="lines__back" viewBox="0 0 ${plan.width} ${plan.height}" aria-hidden="true">
      <${Pipes} plan=${plan} open=${open} />
      ${plan.vents.map(([x, y]) => html`<text class="vent" x=${x} y=${y + 5}>vent</text>`)}
      ${plan.vessels.map((one) => html`<${Vessel} key=${one.place} ...${one} channel=${at[one.place]} />`)}
      <${Chamber} at=${plan.chamber} channel=${at[plan.chamber.place]} />
      ${plan.gauges
        .filter(({ place }) => at[place])
        .map((one) => html`<${Gauge} key=${one.place} ...${one} channel=${at[one.place]} />`)}
    </svg>
  `;
}

export function FeedLines({ valves, refused, onPress }) {
  const host = useRef(null);
  const width = useWidth(host);
  const plan = planFor(width);
  const open = new Set(valves.filter(({ value }) => value > 0).map(({ name }) => name));
  const { at, beside } = pressuresOf(valves[0].instrument);
  const placed = (name) => {
    const [x, y] = plan.valves[name];
    return { left: `${(x / plan.width) * 100}%`, top: `${(y / plan.height) * 100}%` };
  };
  return html`
    <div class="drawing ${beside.length > 0 ? "drawing--beside" : ""}">
      <div class="lines" ref=${host} style=${{ aspectRatio: `${plan.width} / ${plan.height}` }}>
        <${Back} plan=${plan} open=${open} at=${at} />
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
      ${beside.length > 0 && html`<${Beside} channels=${beside} />`}
    </div>
  `;
}
