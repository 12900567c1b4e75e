// What a station has made, what of it is here, and what is missing, with the reason.
import { html, useState } from "../html.js";
import { count } from "../format.js";
import { usePolled } from "../readings/polled.js";
import { Icon } from "../shell/icons.js";
import { fleetApi } from "./fleet_api.js";

const REFRESH_S = 10;
const SHOWN_FIRST = 12;
const REASONS = {
  owed: "still to come",
  never_arrived: "never arrived, and the station no longer has it",
  deleted: "deleted at the station on purpose",
  dead_letter: "put aside here: it cannot be taken",
  quarantined: "put aside here: it contradicts what came before",
};

/** A bar as long as what there was: held is filled, owed is pale, the rest is missing. */
function Bar({ one }) {
  const width = 1000;
  const total = Math.max(1, one.next - one.first);
  const at = (seq) => ((seq - one.first) / total) * width;
  return html`
    <svg class="fleet-bar" viewBox="0 0 ${width} 10" preserveAspectRatio="none" aria-hidden="true">
      <rect class="fleet-bar__held" width=${width} height="10" />
      ${one.ranges.map(
        ({ first, last, reason }) => html`
          <rect
            key=${first}
            class="fleet-bar__${reason}"
            x=${at(first)}
            width=${Math.max(at(last + 1) - at(first), 2)}
            height="10" />
        `,
      )}
    </svg>
  `;
}

function Range({ first, last, rows, reason }) {
  return html`
    <li class="fleet-range">
      <i class="fleet-range__sign fleet-range__sign--${reason}" aria-hidden="true"></i>
      <b>${count(first)}${last > first ? ` – ${count(last)}` : ""}</b>
      <span>${count(rows)} ${rows === 1 ? "row" : "rows"}</span>
      <span class="fleet-range__why">${REASONS[reason] ?? reason}</span>
    </li>
  `;
}

function Stream({ one }) {
  const [limit, setLimit] = useState(SHOWN_FIRST);
  return html`
    <div class="fleet-stream" data-stream=${one.stream}>
      <div class="fleet-stream__head">
        <h3>${one.stream}${!one.current && html` <span class="tag">before a new database</span>`}</h3>
        <span
          >${count(one.held)} of ${count(one.expected)} held${
            one.missing
              ? html`, <b class="fleet-missing">${count(one.missing)} missing</b>`
              : html`, nothing missing`
          }</span
        >
      </div>
      <${Bar} one=${one} />
      <ul>
        ${one.ranges.slice(0, limit).map((range) => html`<${Range} key=${range.first} ...${range} />`)}
      </ul>
      ${
        one.ranges.length > limit &&
        html`<button class="button" onClick=${() => setLimit(limit * 10)}>
          Show more of ${count(one.ranges.length)} ranges
        </button>`
      }
      ${one.more_ranges > 0 && limit >= one.ranges.length && html`<p class="quiet">… and ${count(one.more_ranges)} more ranges</p>`}
    </div>
  `;
}

export function Ledger({ station }) {
  const { answer, problem } = usePolled(() => fleetApi.ledger(station), REFRESH_S, station);
  const items = answer?.items ?? [];
  return html`
    <section class="panel" aria-label="Ledger" data-test="ledger">
      <h2>Is everything here?</h2>
      ${problem && html`<p class="fault"><${Icon} name="alert" /><span>${problem.message}</span></p>`}
      ${answer && !items.length && html`<p class="quiet">The station has not said what it has.</p>`}
      ${items.map((one) => html`<${Stream} key=${`${one.stream} ${one.epoch}`} one=${one} />`)}
    </section>
  `;
}
