// One station as its hub knows it: readings at any zoom, what is here and what is missing, files, keys.
import { html, useEffect, useState } from "../html.js";
import { duration } from "../format.js";
import { EditForm } from "../fleet/edit.js";
import { fleetApi } from "../fleet/fleet_api.js";
import { Keys } from "../fleet/keys.js";
import { Ledger } from "../fleet/ledger.js";
import { Recordings, Rejects } from "../fleet/shipped.js";
import { ageText, Held, nameOf, Owed, State } from "../fleet/states.js";
import { spanWords } from "../readings/fields.js";
import { History } from "../readings/history.js";
import { Latest } from "../readings/latest.js";
import { usePolled } from "../readings/polled.js";
import { Icon } from "../shell/icons.js";
import { link } from "../shell/router.js";
import { may } from "../station/person.js";
import { clockOffset, tick } from "../station/state.js";

const REFRESH_S = 5;

function Fact({ name, children, bad }) {
  return html`<div class="fact ${bad ? "fact--bad" : ""}"><dt>${name}</dt><dd>${children}</dd></div>`;
}

function Facts({ one, now }) {
  const last = one.last_reading;
  return html`
    <dl class="facts facts--head fleet-facts">
      <${Fact} name="Last reading">${ageText(last?.time_ns, now)}<//>
      <${Fact} name="Late by" bad=${one.late_s > 0}>${one.late_s > 0 ? duration(one.late_s) : "–"}<//>
      <${Fact} name="Owed"><${Owed} station=${one} now=${now} /><//>
      <${Fact} name="Held"><${Held} ledger=${one.ledger} /><//>
      <${Fact} name="Reads every">${one.interval_s ? spanWords(one.interval_s) : "–"}<//>
      <${Fact} name="Heard">${ageText(one.last_seen_ns, now)}<//>
      <${Fact} name="Kymograph">${one.version || "–"}<//>
    </dl>
  `;
}

function Title({ one, editing, onEdit }) {
  return html`
    <div class="title">
      <a class="button button--bare" href=${link("fleet")} aria-label="Back to the fleet">
        <${Icon} name="back" />
      </a>
      <h1>${nameOf(one)}</h1>
      <${State} state=${one.state} />
      <p class="title__note">
        ${[nameOf(one) !== one.station && one.station, one.place].filter(Boolean).join(" · ")}
      </p>
      ${
        may("record") &&
        !editing &&
        html`<div class="title__end">
          <button class="button" onClick=${onEdit} data-test="edit">
            <${Icon} name="pen" />Name and place
          </button>
        </div>`
      }
    </div>
  `;
}

function Unknown({ name, problem }) {
  if (problem && problem.status !== 404) {
    return html`<p class="fault" role="alert">
      <${Icon} name="alert" /><span>${problem.message}<small>${problem.hint}</small></span>
    </p>`;
  }
  return html`
    <section class="empty">
      <h1>${name} has not been heard yet</h1>
      <a href=${link("fleet")}>Back to the fleet</a>
    </section>
  `;
}

export function Page({ name }) {
  const { answer: one, problem, again } = usePolled(() => fleetApi.one(name), REFRESH_S, name);
  const [editing, setEditing] = useState(false);
  useEffect(() => {
    document.title = `${one ? nameOf(one) : name} · Kymograph`;
  }, [one && nameOf(one)]);
  const now = tick.value / 1000 + clockOffset.value;
  if (!one) return problem ? html`<${Unknown} name=${name} problem=${problem} />` : html`<p class="quiet">Asking the hub…</p>`;
  const done = (changed) => {
    setEditing(false);
    if (changed) again();
  };
  return html`
    <${Title} one=${one} editing=${editing} onEdit=${() => setEditing(true)} />
    ${
      problem &&
      html`<p class="fault" role="alert">
        <${Icon} name="alert" /><span>The hub cannot say at present: ${problem.message}</span>
      </p>`
    }
    ${editing && html`<section class="panel"><${EditForm} station=${one} onDone=${done} /></section>`}
    <section class="panel" aria-label="Now">
      <${Facts} one=${one} now=${now} />
      ${one.last_reading && html`<${Latest} payload=${one.last_reading.payload} />`}
    </section>
    <${History} station=${name} newest=${one.last_reading?.payload} />
    <div class="fleet-halves">
      <${Ledger} station=${name} />
      <${Recordings} station=${name} />
      ${may("admin") && html`<${Keys} station=${name} />`}
      <${Rejects} station=${name} />
    </div>
  `;
}
