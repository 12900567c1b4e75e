// To whom this station ships, what it still owes, and since when.
import { html } from "../html.js";
import { bytes, count, duration } from "../format.js";
import { ageText, rowsText } from "../fleet/states.js";
import { Icon } from "../shell/icons.js";
import { get } from "../station/api.js";
import { clockOffset, tick } from "../station/state.js";
import { usePolled } from "./polled.js";

const REFRESH_S = 5;
const STATES = {
  connected: ["good", "check", "connected"],
  waiting: ["bad", "clock", "does not answer"],
  refused: ["bad", "alert", "refuses the key"],
  blocked: ["bad", "alert", "is no hub of this kind"],
  unknown: ["bad", "ring", "nobody ships at present"],
};

function State({ state }) {
  const [kind, icon, words] = STATES[state] ?? ["", "ring", state];
  return html`<span class="badge badge--${kind}" data-state=${state}><${Icon} name=${icon} />${words}</span>`;
}

function Fact({ name, children, bad }) {
  return html`<div class="fact ${bad ? "fact--bad" : ""}"><dt>${name}</dt><dd>${children}</dd></div>`;
}

function Destination({ one }) {
  const now = tick.value / 1000 + clockOffset.value;
  const owed = Object.entries(one.owed).filter(([, rows]) => rows > 0);
  const next = one.next_try_ns ? one.next_try_ns / 1e9 - now : 0;
  const file = one.object;
  return html`
    <li class="destination" data-destination=${one.name}>
      <div class="row">
        <h3 class="destination__name">${one.name}</h3>
        <${State} state=${one.state} />
        ${one.state === "waiting" && next > 0 && html`<span class="quiet">tried again in ${duration(next)}</span>`}
      </div>
      <p class="quiet destination__url">${one.url}${one.kind === "original" && ", a hub of the older kind"}</p>
      <dl class="facts facts--head">
        <${Fact} name="Owed" bad=${owed.length > 0 && one.state !== "connected"}
          >${owed.length ? owed.map(rowsText).join(", ") : "nothing"}<//
        >
        <${Fact} name="Owed since">${one.since_ns ? `${duration(now - one.since_ns / 1e9)}` : "–"}<//>
        <${Fact} name="Last taken">${ageText(one.last_success_ns, now)}<//>
        <${Fact} name="Shipped"
          >${count(one.rows)} rows, ${bytes(one.bytes_sent)}<//
        >
        ${one.aside > 0 && html`<${Fact} name="Not taken" bad>${count(one.aside)} rows<//>`}
      </dl>
      ${file && html`<p class="quiet">A file is on its way: ${bytes(file.offset)} of ${bytes(file.size_bytes)}</p>`}
      ${
        one.error &&
        html`<p class="fault"><${Icon} name="alert" /><span>${one.error}<small>${one.hint}</small></span></p>`
      }
      ${one.aside_reason && html`<p class="quiet">Not taken: ${one.aside_reason}</p>`}
    </li>
  `;
}

export function Shipping() {
  const { answer, problem } = usePolled(() => get("shipping"), REFRESH_S);
  return html`
    <section class="panel" aria-label="Shipping" data-test="shipping">
      <h2>Shipped, and owed</h2>
      ${problem && html`<p class="fault"><${Icon} name="alert" /><span>${problem.message}</span></p>`}
      ${
        answer &&
        !answer.items.length &&
        html`<p class="quiet">
          Readings stay here alone: the station file has no <code>[destinations.NAME]</code>.
        </p>`
      }
      <ul class="destinations">
        ${(answer?.items ?? []).map((one) => html`<${Destination} key=${one.name} one=${one} />`)}
      </ul>
    </section>
  `;
}
