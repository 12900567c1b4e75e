// The readings of this station: the newest, all before it, what is shipped and owed, and what would be deleted.
import { html, useEffect } from "../html.js";
import { count, duration } from "../format.js";
import { spanWords } from "../readings/fields.js";
import { History } from "../readings/history.js";
import { Latest } from "../readings/latest.js";
import { usePolled } from "../readings/polled.js";
import { Retention } from "../readings/retention.js";
import { Shipping } from "../readings/shipping.js";
import { Icon } from "../shell/icons.js";
import { api } from "../station/api.js";
import { clockOffset, tick } from "../station/state.js";

const REFRESH_S = 2;
const OLD_INTERVALS = 3;

function Newest({ told }) {
  const { newest, interval_s: interval, lost, error } = told;
  const now = tick.value / 1000 + clockOffset.value;
  const age = newest ? Math.max(0, now - newest.time_ns / 1e9) : 0;
  const old = age > OLD_INTERVALS * interval + REFRESH_S;
  return html`
    <section class="panel" aria-label="Newest reading" data-test="newest">
      <div class="row">
        <h2>Now</h2>
        <span class="quiet"
          >${
            newest
              ? html`<span class=${old ? "wrong" : ""}>${age < 1 ? "this second" : `${duration(Math.floor(age))} ago`}</span>, every
                  ${" "}${spanWords(interval)}, ${count(told.composed)} since the start`
              : `the first comes within ${spanWords(interval)}`
          }</span
        >
      </div>
      ${newest && html`<${Latest} payload=${newest.payload} old=${old} />`}
      ${lost > 0 && html`<p class="fault"><${Icon} name="alert" /><span>${count(lost)} readings could not be kept</span></p>`}
      ${error && html`<p class="fault"><${Icon} name="alert" /><span>Readings cannot be written: ${error}</span></p>`}
    </section>
  `;
}

export function Page() {
  const { answer } = usePolled(api.station, REFRESH_S);
  useEffect(() => {
    document.title = "Readings · Kymograph";
  }, []);
  const told = answer?.readings;
  return html`
    <div class="title">
      <h1>Readings</h1>
      ${told && html`<p class="title__note">${told.device_id}</p>`}
    </div>
    ${answer && !told && html`<p class="quiet">This station composes no readings.</p>`}
    ${told && html`<${Newest} told=${told} />`}
    <${History} newest=${told?.newest?.payload} />
    <div class="fleet-halves">
      <${Shipping} />
      <${Retention} />
    </div>
  `;
}
