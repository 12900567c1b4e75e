// How an instrument's link is doing, in numbers.
import { html } from "../html.js";
import { bytes, count, duration, rate } from "../format.js";

export function Fact({ label, children, bad }) {
  return html`
    <div class="fact ${bad ? "fact--bad" : ""}">
      <dt>${label}</dt>
      <dd>${children}</dd>
    </div>
  `;
}

/** The four that matter at a glance. */
export function HealthLine({ health, state }) {
  const late = state === "acquiring" && health.age_s !== null && health.age_s > 3;
  return html`
    <dl class="facts">
      <${Fact} label="Rate">${rate(health.rate_hz)}<//>
      <${Fact} label="Last row" bad=${late}
        >${health.age_s === null ? "none yet" : `${duration(health.age_s)} ago`}<//
      >
      <${Fact} label="Bad frames" bad=${health.frames_bad > 0}>${count(health.frames_bad)}<//>
      <${Fact} label="Resyncs" bad=${health.resyncs > 0}>${count(health.resyncs)}<//>
    </dl>
  `;
}

function deviceText(device) {
  return Object.entries(device ?? {}).filter(([, value]) => value !== null && typeof value !== "object");
}

export function Health({ instrument }) {
  const { health, device, port, driver } = instrument;
  return html`
    <section class="panel" aria-label="Health">
      <h2>Health</h2>
      <dl class="facts facts--wide">
        <${Fact} label="Rate">${rate(health.rate_hz)}<//>
        <${Fact} label="Last row"
          >${health.age_s === null ? "none yet" : `${duration(health.age_s)} ago`}<//
        >
        <${Fact} label="Rows">${count(health.rows)}<//>
        <${Fact} label="Received">${bytes(health.bytes_received)}<//>
        <${Fact} label="Good frames">${count(health.frames_good)}<//>
        <${Fact} label="Bad frames" bad=${health.frames_bad > 0}>${count(health.frames_bad)}<//>
        <${Fact} label="Resyncs" bad=${health.resyncs > 0}>${count(health.resyncs)}<//>
        <${Fact} label="Re-opened" bad=${health.reopens > 0}>${count(health.reopens)}<//>
      </dl>
      <h3>Device</h3>
      <dl class="list">
        <div>
          <dt>driver</dt>
          <dd>${driver}</dd>
        </div>
        ${
          port &&
          html`<div>
            <dt>port</dt>
            <dd class="code">${port}</dd>
          </div>`
        }
        ${deviceText(device).map(
          ([name, value]) =>
            html`<div key=${name}>
              <dt>${name.replaceAll("_", " ")}</dt>
              <dd>${String(value)}</dd>
            </div>`,
        )}
      </dl>
    </section>
  `;
}
