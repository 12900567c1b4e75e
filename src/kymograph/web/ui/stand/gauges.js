// A gauge a channel: the value, where it lies in its span, and where an interlock would trip.
import { computed, html } from "../html.js";
import { number, unitSign } from "../format.js";
import { control } from "../station/control.js";
import { grouped } from "./groups.js";
import { newest } from "./readings.js";

const LIMIT = /^\s*([\w.]+)\s*([<>])=?\s*(-?\d+(?:\.\d+)?)\s*$/;

/** Limits of trips over one channel and one number: `{ "stand.P1": 38 }`. */
const limits = computed(() => {
  const found = (control.value?.interlocks ?? [])
    .filter(({ kind }) => kind === "trip")
    .map(({ expression }) => LIMIT.exec(expression))
    .filter(Boolean);
  return Object.fromEntries(found.map(([, name, sign, value]) => [name, { sign, value: Number(value) }]));
});

function shareOf(value, { low, high }) {
  if (value === null || value === undefined || low === null || high === null) return null;
  return Math.min(1, Math.max(0, (value - low) / (high - low)));
}

function beyond(value, limit) {
  if (!limit || value === null || value === undefined) return false;
  return limit.sign === ">" ? value > limit.value : value < limit.value;
}

function Gauge({ channel, limit }) {
  const value = newest.value[channel.name];
  const share = shareOf(value, channel);
  const at = limit ? shareOf(limit.value, channel) : null;
  return html`
    <div
      class="gauge ${beyond(value, limit) ? "gauge--beyond" : ""}"
      title=${channel.description || channel.name}>
      <span class="gauge__name">${channel.name.replaceAll("_", " ")}</span>
      <span class="gauge__value"><b>${number(value)}</b> ${unitSign(channel.unit)}</span>
      <span class="gauge__bar" aria-hidden="true">
        <i style=${{ transform: `scaleX(${share ?? 0})` }}></i>
        ${at !== null && html`<u style=${{ left: `${at * 100}%` }}></u>`}
      </span>
    </div>
  `;
}

export function Gauges({ stream, channels }) {
  return html`
    <section class="panel gauges" aria-label="Gauges of ${stream.name}">
      ${grouped(channels).map(
        ([kind, list]) => html`
          <div class="gauges__group" key=${kind}>
            <h3>${kind}</h3>
            <div class="gauges__list">
              ${list.map(
                (channel) =>
                  html`<${Gauge}
                    key=${channel.name}
                    channel=${channel}
                    limit=${limits.value[`${stream.name}.${channel.name}`]} />`,
              )}
            </div>
          </div>
        `,
      )}
    </section>
  `;
}
