// The stations of a hub: who is late, what each showed last, what it owes, and where it is.
import { html, useEffect, useRef, useState } from "../html.js";
import { count } from "../format.js";
import { EditForm } from "../fleet/edit.js";
import { fleetApi } from "../fleet/fleet_api.js";
import { FleetMap } from "../fleet/map.js";
import { ageText, nameOf, ORDER, State, STATES } from "../fleet/states.js";
import { FleetTable, sorted, SortSelect, Values } from "../fleet/table.js";
import { NewStation } from "../fleet/keys.js";
import { usePolled } from "../readings/polled.js";
import { Icon } from "../shell/icons.js";
import { link } from "../shell/router.js";
import { may } from "../station/person.js";
import { clockOffset, tick } from "../station/state.js";

const REFRESH_S = 5;
const VALUES_CHOSEN = 8;
const hasPlace = ({ latitude, longitude }) => latitude !== null && longitude !== null;

function matches(one, words, state) {
  if (state && one.state !== state) return false;
  const all = [one.station, one.title, one.place, STATES[one.state]?.words].join(" ").toLowerCase();
  return words.every((word) => all.includes(word));
}

/** How many there are of each state; a press shows only those. */
function StateFilter({ items, state, setState }) {
  return html`
    <div class="chips" role="group" aria-label="States shown">
      ${ORDER.map((one) => [one, items.filter((item) => item.state === one).length])
        .filter(([one, n]) => n || one === state)
        .map(
          ([one, n]) => html`
            <button
              key=${one}
              class="chip fleet-state--${one}"
              title=${STATES[one].hint}
              aria-pressed=${state === one}
              onClick=${() => setState(state === one ? "" : one)}>
              <${Icon} name=${STATES[one].icon} />${count(n)} ${STATES[one].words}
            </button>
          `,
        )}
    </div>
  `;
}

/** What is known of the station that was chosen, beside the map. */
function Chosen({ one, now, onDone }) {
  const [editing, setEditing] = useState(false);
  const last = one.last_reading;
  return html`
    <section class="fleet-chosen" aria-label="Chosen station" data-test="chosen">
      <div class="row">
        <h2><a href=${link("fleet", one.station)}>${nameOf(one)}</a></h2>
        <${State} state=${one.state} />
      </div>
      ${
        editing
          ? html`<${EditForm}
              key=${one.station}
              station=${one}
              onDone=${(changed) => {
                setEditing(false);
                if (changed) onDone();
              }} />`
          : html`
              <p class="quiet">
                ${[one.place, hasPlace(one) ? `${one.latitude}°, ${one.longitude}°` : "no coordinates"]
                  .filter(Boolean)
                  .join(" · ")}
              </p>
              ${last && html`<p><${Values} payload=${last.payload} shown=${VALUES_CHOSEN} /></p>`}
              ${last && html`<p class="quiet">${ageText(last.time_ns, now)}</p>`}
              <div class="row">
                <a class="button button--main" href=${link("fleet", one.station)}>Open</a>
                ${
                  may("record") &&
                  html`<button class="button" onClick=${() => setEditing(true)} data-test="edit">
                    <${Icon} name="pen" />Name and place
                  </button>`
                }
              </div>
            `
      }
    </section>
  `;
}

function Placeless({ items, chosen, onPick }) {
  if (!items.length) return null;
  return html`
    <section aria-label="Without a place" data-test="placeless">
      <h3>Not on the map</h3>
      <div class="chips">
        ${items.map(
          (one) => html`
            <button
              key=${one.station}
              class="chip"
              aria-pressed=${one.station === chosen}
              onClick=${() => onPick(one.station)}>
              <span class="fleet-state--${one.state}"><${Icon} name=${STATES[one.state].icon} /></span>
              ${nameOf(one)}
            </button>
          `,
        )}
      </div>
    </section>
  `;
}

function Nobody() {
  return html`
    <section class="empty">
      <h2>No station has been heard yet</h2>
      <p>Make a key for the first one here, or with <code>kymograph hub keys make NAME</code>.</p>
    </section>
  `;
}

export function Page() {
  const { answer, problem, again } = usePolled(fleetApi.all, REFRESH_S);
  const [typed, setTyped] = useState("");
  const [state, setState] = useState("");
  const [sort, setSort] = useState({ by: "state", turned: false });
  const [chosen, setChosen] = useState("");
  useEffect(() => {
    document.title = "Fleet · Kymograph";
  }, []);
  const where = useRef(null);
  const now = tick.value / 1000 + clockOffset.value;
  const all = answer?.items ?? [];
  const words = typed.toLowerCase().split(/\s+/).filter(Boolean);
  const shown = sorted(
    all.filter((one) => matches(one, words, state)),
    sort,
  );
  const one = all.find(({ station }) => station === chosen);
  const pick = (station, show = false) => {
    setChosen(station === chosen ? "" : station);
    if (show && station !== chosen) where.current.scrollIntoView({ block: "nearest" });
  };
  return html`
    <div class="title">
      <h1>Fleet</h1>
      ${answer && html`<p class="title__note">${count(all.length)} stations</p>`}
      ${may("admin") && html`<div class="title__end"><${NewStation} onMade=${again} /></div>`}
    </div>
    ${
      problem &&
      html`<p class="fault" role="alert">
        <${Icon} name="alert" /><span>The hub cannot say at present: ${problem.message}<small>${problem.hint}</small></span>
      </p>`
    }
    ${!answer && !problem && html`<p class="quiet">Asking the hub…</p>`}
    ${answer && !all.length && html`<${Nobody} />`}
    ${
      all.length > 0 &&
      html`
        <section class="panel fleet-where" aria-label="Map" ref=${where}>
          <${FleetMap} items=${shown.filter(hasPlace)} chosen=${chosen} onPick=${pick} />
          <div class="fleet-where__side">
            ${
              one
                ? html`<${Chosen} key=${one.station} one=${one} now=${now} onDone=${again} />`
                : html`<p class="quiet">Choose a station on the map or in the list.</p>`
            }
            <${Placeless} items=${shown.filter((item) => !hasPlace(item))} chosen=${chosen} onPick=${pick} />
          </div>
        </section>
        <div class="toolbar">
          <${StateFilter} items=${all} state=${state} setState=${setState} />
          <div class="toolbar__end filter">
            <${SortSelect} sort=${sort} setSort=${setSort} />
            <input
              type="search"
              placeholder="Find a station"
              aria-label="Find a station"
              value=${typed}
              onInput=${(event) => setTyped(event.target.value)} />
          </div>
        </div>
        <section class="panel panel--flush" aria-label="Stations">
          ${
            shown.length
              ? html`<${FleetTable} ...${{ items: shown, now, sort, setSort, chosen, onPick: pick }} />`
              : html`<p class="quiet">No station is like that.</p>`
          }
        </section>
      `
    }
  `;
}
