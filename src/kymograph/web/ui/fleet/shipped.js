// Recordings of which sealed files are here, and batches that could not be taken.
import { html, useState } from "../html.js";
import { bytes, count, moment } from "../format.js";
import { usePolled } from "../readings/polled.js";
import { Download } from "../recording/downloads.js";
import { Confirm } from "../shell/dialog.js";
import { may } from "../station/person.js";
import { attempt } from "../station/state.js";
import { fileAddress, fleetApi, rejectAddress } from "./fleet_api.js";

const REFRESH_S = 15;
const REASON_CHARS = 100;
const KINDS = {
  dead: "cannot be taken",
  quarantined: "contradicts what came before",
};

function Files({ station, id }) {
  const { answer } = usePolled(() => fleetApi.segments(station, id), 0, id);
  if (!answer) return html`<p class="quiet">Asking the hub…</p>`;
  return html`
    <ul class="fleet-lines">
      ${answer.items.map(
        ({ filename, size_bytes: size, rows }) => html`
          <li key=${filename} class="fleet-line">
            <span class="fleet-line__main">${filename}
              <small>${bytes(size)}${rows !== undefined && rows !== null && `, ${count(rows)} rows`}</small></span
            >
            <${Download} href=${fileAddress(station, id, filename)}>Download<//>
          </li>
        `,
      )}
    </ul>
  `;
}

function Recording({ station, one }) {
  const [open, setOpen] = useState(false);
  return html`
    <details class="fleet-recording" onToggle=${(event) => setOpen(event.target.open)}>
      <summary>
        <b>${one.recording.name ?? one.recording_id}</b>
        <small
          >${moment(one.first_ns)} · ${count(one.segments)} ${one.segments === 1 ? "file" : "files"},
          ${" "}${bytes(one.size_bytes)}</small
        >
      </summary>
      ${open && html`<${Files} station=${station} id=${one.recording_id} />`}
    </details>
  `;
}

export function Recordings({ station }) {
  const { answer } = usePolled(() => fleetApi.recordings(station), REFRESH_S, station);
  const [older, setOlder] = useState({ items: [], next: undefined });
  const next = older.next === undefined ? answer?.next : older.next;
  const known = new Set(answer?.items.map((one) => one.recording_id));
  const items = [...(answer?.items ?? []), ...older.items.filter((one) => !known.has(one.recording_id))];
  const more = async () => {
    const page = await attempt(fleetApi.recordings(station, next));
    if (page) setOlder({ items: [...older.items, ...page.items], next: page.next });
  };
  return html`
    <section class="panel" aria-label="Recordings" data-test="shipped">
      <h2>Recordings</h2>
      ${answer && !items.length && html`<p class="quiet">No file of a recording has arrived.</p>`}
      <div class="fleet-lines">
        ${items.map((one) => html`<${Recording} key=${one.recording_id} station=${station} one=${one} />`)}
      </div>
      ${next && html`<div class="row"><button class="button" onClick=${more}>Show older ones</button></div>`}
    </section>
  `;
}

/** A long reason is folded. */
function Reason({ text }) {
  if (text.length <= REASON_CHARS) return html`<span>${text}</span>`;
  return html`<details class="fleet-reason">
    <summary>${text.slice(0, REASON_CHARS)}…</summary>
    ${text}
  </details>`;
}

function Reject({ one, onDrop }) {
  return html`
    <li class="fleet-line" data-reject=${one.id}>
      <span class="fleet-line__main"
        ><span><b>${one.stream} ${count(one.first)} – ${count(one.last)}</b>${" "}
          ${KINDS[one.kind] ?? one.kind}</span
        ><${Reason} text=${one.reason} /><small>came ${moment(one.received_ns)}</small></span
      >
      <span class="row">
        <${Download} href=${rejectAddress(one.id)}>As it came<//>
        ${may("admin") && html`<button class="button" onClick=${() => onDrop(one)}>Throw away</button>`}
      </span>
    </li>
  `;
}

export function Rejects({ station }) {
  const { answer, again } = usePolled(() => fleetApi.rejects(station), REFRESH_S, station);
  const [asked, setAsked] = useState(null);
  const items = answer?.items ?? [];
  const drop = async () => {
    await attempt(fleetApi.dropReject(asked.id));
    setAsked(null);
    again();
  };
  return html`
    <section class="panel" aria-label="Put aside" data-test="rejects">
      <h2>Put aside</h2>
      ${answer && !items.length && html`<p class="quiet">Everything that came could be taken.</p>`}
      <ul class="fleet-lines">
        ${items.map((one) => html`<${Reject} key=${one.id} one=${one} onDrop=${setAsked} />`)}
      </ul>
      ${
        asked &&
        html`<${Confirm}
          title="Throw this batch away?"
          verb="Throw it away"
          onYes=${drop}
          onNo=${() => setAsked(null)}>
          ${asked.stream} ${count(asked.first)} – ${count(asked.last)} as they came are gone then.${
            asked.kind === "dead" ? " The station is asked for these rows once more." : ""
          }
        <//>`
      }
    </section>
  `;
}
