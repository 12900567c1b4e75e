// The stations as a list that can be sorted.
import { html } from "../html.js";
import { count, duration } from "../format.js";
import { leaves, readingText } from "../readings/fields.js";
import { Icon } from "../shell/icons.js";
import { link } from "../shell/router.js";
import { ageText, Held, nameOf, ORDER, Owed, owedOf, rejectsOf, State } from "./states.js";

const VALUES_SHOWN = 4;
const text = (a, b) => a.localeCompare(b, "en", { numeric: true });

/** By which columns it can be sorted; the first press brings on top what wants attention. */
export const SORTS = {
  state: ["State", (a, b) => ORDER.indexOf(a.state) - ORDER.indexOf(b.state) || b.late_s - a.late_s],
  name: ["Station", (a, b) => text(nameOf(a), nameOf(b))],
  age: ["Last reading", (a, b) => (a.last_reading?.time_ns ?? 0) - (b.last_reading?.time_ns ?? 0)],
  owed: ["Owed", (a, b) => owedOf(b).rows - owedOf(a).rows],
  held: ["Held", (a, b) => b.ledger.missing - a.ledger.missing],
  rejects: ["Put aside", (a, b) => rejectsOf(b) - rejectsOf(a)],
};

/** Sorted, and those that are equal by name. */
export function sorted(items, { by, turned }) {
  const compare = SORTS[by][1];
  const sign = turned ? -1 : 1;
  return [...items].sort((a, b) => sign * compare(a, b) || SORTS.name[1](a, b));
}

export function SortSelect({ sort, setSort }) {
  return html`
    <select
      class="fleet-sort"
      aria-label="Sort by"
      value=${sort.by}
      onChange=${(event) => setSort({ by: event.target.value, turned: false })}>
      ${Object.entries(SORTS).map(([by, [title]]) => html`<option key=${by} value=${by}>By ${title.toLowerCase()}</option>`)}
    </select>
  `;
}

function Head({ sort, setSort }) {
  return html`
    <thead>
      <tr>
        ${Object.entries(SORTS).map(([by, [title]]) => {
          const own = sort.by === by;
          const order = own ? (sort.turned ? "descending" : "ascending") : null;
          return html`
            <th key=${by} aria-sort=${order}>
              <button class="fleet-head" onClick=${() => setSort({ by, turned: own && !sort.turned })}>
                ${title}<span aria-hidden="true">${own ? (sort.turned ? "▴" : "▾") : ""}</span>
              </button>
            </th>
          `;
        })}
        <th><span class="unseen">Show</span></th>
      </tr>
    </thead>
  `;
}

/** The first few values, an error in the place of what failed. */
export function Values({ payload, shown = VALUES_SHOWN }) {
  const all = leaves(payload);
  const first = all.filter(({ error }) => error).concat(all.filter(({ error }) => !error));
  return html`
    <span class="fleet-values">
      ${first.slice(0, shown).map(({ path, name, unit, value, error }) =>
        error
          ? html`<span key=${path} class="fleet-values__error" title=${error}
              ><${Icon} name="alert" />${name}: ${error}</span
            >`
          : html`<span key=${path}>${name} <b>${readingText(value)}</b> ${unit}</span>`,
      )}
    </span>
  `;
}

function Row({ one, now, chosen, onPick }) {
  const last = one.last_reading;
  const aside = rejectsOf(one);
  return html`
    <tr
      class="fleet-row ${chosen ? "fleet-row--chosen" : ""}"
      data-station=${one.station}
      onClick=${(event) => event.target.closest("a, button") || onPick(one.station)}>
      <td data-label="State" class="fleet-cell--state">
        <${State} state=${one.state} />${one.late_s > 0 && html`<small>by ${duration(one.late_s)}</small>`}
      </td>
      <th scope="row">
        <a href=${link("fleet", one.station)}>${nameOf(one)}</a>
        <small>${[one.title && one.title !== one.station && one.station, one.place].filter(Boolean).join(" · ")}</small>
      </th>
      <td data-label="Last reading" class="fleet-cell--values">
        ${last ? html`<${Values} payload=${last.payload} /><small>${ageText(last.time_ns, now)}</small>` : "–"}
      </td>
      <td data-label="Owed"><${Owed} station=${one} now=${now} /></td>
      <td data-label="Held"><${Held} ledger=${one.ledger} /></td>
      <td data-label="Put aside">${aside > 0 && html`<span class="fleet-missing">${count(aside)}</span>`}</td>
      <td class="table__tools">
        <button
          class="button button--bare"
          aria-pressed=${chosen}
          aria-label="Show ${nameOf(one)} on the map"
          title="Show on the map"
          onClick=${() => onPick(one.station, true)}>
          <${Icon} name="fleet" />
        </button>
      </td>
    </tr>
  `;
}

export function FleetTable({ items, now, sort, setSort, chosen, onPick }) {
  return html`
    <div class="scroll">
      <table class="table table--stack fleet-table" data-test="fleet">
        <${Head} sort=${sort} setSort=${setSort} />
        <tbody>
          ${items.map(
            (one) =>
              html`<${Row}
                key=${one.station}
                one=${one}
                now=${now}
                chosen=${one.station === chosen}
                onPick=${onPick} />`,
          )}
        </tbody>
      </table>
    </div>
  `;
}
