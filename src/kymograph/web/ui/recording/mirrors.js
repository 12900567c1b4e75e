// Copies of recordings elsewhere, and copies of other stations' recordings here.
import { html, useEffect, useState } from "../html.js";
import { count, bytes } from "../format.js";
import { link } from "../shell/router.js";
import { Icon } from "../shell/icons.js";
import { api } from "../station/api.js";
import { ago } from "./completeness.js";

const REFRESH_MS = 5000;
const STATES = {
  running: ["running", "follows it"],
  partial: ["bad", "not all yet"],
  whole: ["good", "has all of it"],
};

/** Ask every few seconds for as long as it is shown; null before the first answer. */
export function useRepeated(ask, what) {
  const [items, setItems] = useState(null);
  useEffect(() => {
    let timer = 0;
    let wanted = true;
    const look = async () => {
      const answer = await ask().catch(() => null); // the connection's state tells it already
      if (!wanted) return;
      if (answer) setItems(answer.items);
      timer = setTimeout(look, REFRESH_MS);
    };
    look();
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [what]);
  return items;
}

function State({ state }) {
  const [kind, words] = STATES[state] ?? ["", state];
  return html`<span class="badge badge--${kind}"
    >${kind === "good" ? html`<${Icon} name="check" />` : html`<i class="dot" aria-hidden="true"></i>`}${words}</span
  >`;
}

/** Who mirrors a recording, and how far they are; of a mirror (`side`) that is rarely anybody. */
export function MirrorsOf({ id, side }) {
  const items = useRepeated(() => api.mirrorsOf(id), id);
  if (side === "mirror" && !items?.length) return null;
  return html`
    <section class="panel" aria-label="Mirrors" data-test="mirrors">
      <h2>Mirrors</h2>
      ${
        items?.length
          ? html`<ul class="mirrors">
              ${items.map(
                ({ name, state, held, expected, rows, tail_bytes: tail, heard_ns: heard }) => html`
                  <li key=${name} class="mirror">
                    <b>${name}</b><${State} state=${state} />
                    <meter
                      min="0"
                      max=${Math.max(1, expected)}
                      value=${held}
                      aria-label="Files at ${name}"></meter>
                    <small
                      >${count(held)} of ${count(expected)} files, ${count(rows)}
                      rows${tail > 0 && `, ${bytes(tail)} not sealed yet`} · heard ${ago(heard)}</small
                    >
                  </li>
                `,
              )}
            </ul>`
          : html`<p class="quiet">
              ${items === null ? "Asking…" : "No mirror has been heard of in the last ten minutes."}
            </p>`
      }
    </section>
  `;
}

/** The recordings of other stations that are mirrored into this folder. */
export function HeldMirrors({ items }) {
  return html`
    <section class="panel panel--flush" aria-label="Mirrors held here" data-test="held-mirrors">
      <h2 class="panel__title">Mirrors held here <small>${count(items.length)}</small></h2>
      <table class="table table--stack">
        <thead>
          <tr>
            <th>Name</th>
            <th>From</th>
            <th>State</th>
            <th class="num">Files</th>
            <th>Last contact</th>
          </tr>
        </thead>
        <tbody>
          ${items.map(
            (one) => html`
              <tr key=${one.recording_id}>
                <th scope="row" data-label="Name">
                  <a href=${link("recordings", one.recording_id)}>${one.name}</a>
                  ${one.error && html`<small class="wrong">${one.error}</small>`}
                </th>
                <td data-label="From">${one.station}<small class="below code">${one.url}</small></td>
                <td data-label="State"><${State} state=${one.state} /></td>
                <td data-label="Files" class="num">${count(one.held)} of ${count(one.expected)}</td>
                <td data-label="Last contact">${ago(one.last_contact_ns)}</td>
              </tr>
            `,
          )}
        </tbody>
      </table>
    </section>
  `;
}
