// The present reading of a slow sensor, large enough for the far side of a room, and what the sensor is.
import { html } from "../html.js";
import { duration, number, timeOfDay, unitSign, valueText } from "../format.js";
import { Fact } from "./health.js";
import { Newest, useLatest } from "./values.js";
import { isScan } from "./scan.js";
import { stationNow, tick } from "../station/state.js";

const DIGITS = 5;
const LATE_S = 3;
const LATE_PERIODS = 3;
/** Facts that tell one sensor from another, and how it is set; the others are under Health. */
const FACTS = {
  sensor_id: ["Sensor", String],
  serial: ["Serial number", String],
  firmware: ["Firmware", String],
  averaging: ["Averaging", String],
  adc_rate_hz: ["ADC rate", (hz) => `${hz}\u00a0Hz`],
  sample_period_s: ["One reading each", duration],
  mode: ["Mode", String],
  tag: ["Tag", String],
};

/** Whether the rows of a stream are readings that come one at a time. */
export function isReading(stream) {
  return !stream.rate_hz && !isScan(stream);
}

function Age({ latest, instrument }) {
  if (!latest) return html`<p class="present__age">no reading yet</p>`;
  const age = Math.max(0, tick.value && stationNow() - latest.t);
  const period = instrument.device?.sample_period_s ?? 0;
  const late = instrument.state === "acquiring" && age > Math.max(LATE_S, period * LATE_PERIODS);
  return html`<p class="present__age ${late ? "present__age--late" : ""}" data-test="age">
    ${age < 10 ? `${age.toFixed(1)}\u00a0s` : duration(age)} ago · ${timeOfDay(latest.t, 1)}
  </p>`;
}

function Other({ channel, latest }) {
  return html`
    <div class="fact" data-channel=${channel.name}>
      <dt>${channel.name}</dt>
      <dd><${Newest} channel=${channel} latest=${latest} /></dd>
    </div>
  `;
}

function DeviceFacts({ device }) {
  const known = Object.entries(FACTS).filter(([key]) => ![undefined, null, ""].includes(device?.[key]));
  if (!known.length) return null;
  return html`
    <dl class="facts facts--head present__device" data-test="device">
      ${known.map(([key, [label, write]]) => html`<${Fact} key=${key} label=${label}>${write(device[key])}<//>`)}
    </dl>
  `;
}

export function Present({ stream, instrument }) {
  const latest = useLatest(stream);
  const [first, ...others] = stream.channels;
  const value = latest?.values[first.name];
  const stale = instrument.state !== "acquiring";
  return html`
    <section
      class="panel present ${stale ? "present--stale" : ""}"
      aria-label="Present value of ${stream.name}">
      <div class="present__now">
        <div class="present__main">
          <h2 class="present__name">${first.name}${stale && latest && html`<small>the last one</small>`}</h2>
          <p class="present__figure" data-test="present">
            <b>${first.labels?.length ? valueText(first, value) : number(value, DIGITS)}</b>
            ${" "}<span>${unitSign(first.unit || instrument.device?.units)}</span>
          </p>
          <${Age} latest=${latest} instrument=${instrument} />
        </div>
        <dl class="present__others">
          ${others.map(
            (channel) => html`<${Other} key=${channel.name} channel=${channel} latest=${latest} />`,
          )}
        </dl>
      </div>
      <${DeviceFacts} device=${instrument.device} />
    </section>
  `;
}
