// All recordings of the station: find one, take it, or delete it.
import { html, useEffect, useRef, useState } from "../html.js";
import { bytes, count, duration, moment } from "../format.js";
import { Choice } from "../plot/choice.js";
import { Downloads } from "../recording/downloads.js";
import { Ending } from "../recording/endings.js";
import { Confirm } from "../shell/dialog.js";
import { Icon } from "../shell/icons.js";
import { link } from "../shell/router.js";
import { toast } from "../shell/toasts.js";
import { LedgerBadge } from "../recording/completeness.js";
import { ledgerVersion, useInView, useLedger } from "../recording/ledgers.js";
import { useRecordings } from "../recording/recordings_list.js";
import { api } from "../station/api.js";
import { attempt, recorders, stationNow } from "../station/state.js";

const SHOWN = [
  ["all", "All"],
  ["stopped", "Stopped"],
  ["cut", "Cut short"],
];

function seconds({ started_ns: started, ended_ns: ended }) {
  return (ended ? ended / 1e9 : stationNow()) - started / 1e9;
}

function fits(recording, text, which) {
  const words = [
    recording.name,
    recording.format,
    recording.ended,
    ...Object.values(recording.metadata ?? {}),
  ];
  const found = words.join(" ").toLowerCase().includes(text.toLowerCase());
  if (which === "stopped") return found && recording.ended === "stop";
  if (which === "cut") return found && !["stop", "recording"].includes(recording.ended);
  return found;
}

/** A running recording's numbers come with the status, once a second. */
function current(recording) {
  const recorder = recorders.value.find((one) => one.recording_id === recording.id);
  return recorder ? { ...recording, rows: recorder.rows, size_bytes: recorder.size_bytes } : recording;
}

/** Whether all of it is there: asked when it comes into view, and not while it runs. */
function Whole({ recording }) {
  const box = useRef(null);
  const near = useInView(box);
  const ledger = useLedger(recording.id, ledgerVersion(recording), { near: near && !recording.running });
  const told = ledger && !recording.running;
  return html`<span ref=${box} title=${told ? ledger.summary : ""}
    >${told ? html`<${LedgerBadge} state=${ledger.state} />` : "–"}</span
  >`;
}

function Row({ recording: listed, onDelete }) {
  const recording = current(listed);
  const names = recording.streams.map((stream) => stream.name).join(", ");
  return html`
    <tr>
      <th scope="row" data-label="Name">
        <a href=${link("recordings", recording.id)}>${recording.name}</a><small>${names}</small>
      </th>
      <td data-label="Started">${moment(recording.started_ns)}</td>
      <td data-label="Lasted" class="num">${duration(seconds(recording))}</td>
      <td data-label="Rows" class="num">${count(recording.rows)}</td>
      <td data-label="Size" class="num">${bytes(recording.size_bytes)}</td>
      <td data-label="Ended"><${Ending} ended=${recording.ended} /></td>
      <td data-label="Data"><${Whole} recording=${recording} /></td>
      <td class="table__tools">
        <details class="menu">
          <summary class="button button--bare" aria-label="Download ${recording.name}" title="Download">
            <${Icon} name="download" />
          </summary>
          <div class="menu__box"><${Downloads} recording=${recording} range=${null} /></div>
        </details>
        <button
          class="button button--bare"
          disabled=${recording.running}
          aria-label="Delete ${recording.name}"
          title=${recording.running ? "It is still running" : "Delete"}
          onClick=${onDelete}>
          <${Icon} name="trash" />
        </button>
      </td>
    </tr>
  `;
}

function Empty({ any }) {
  if (any) return html`<p class="empty">No recording fits the filter.</p>`;
  return html`
    <section class="empty">
      <h2>Nothing has been recorded yet</h2>
      <p>
        Go to the <a href=${link()}>overview</a>, give a name and press Record. What you record appears here.
      </p>
    </section>
  `;
}

function Table({ list, onDelete }) {
  return html`
    <table class="table table--stack">
      <caption class="unseen">
        Recordings, newest first
      </caption>
      <thead>
        <tr>
          <th>Name</th>
          <th>Started</th>
          <th class="num">Lasted</th>
          <th class="num">Rows</th>
          <th class="num">Size</th>
          <th>Ended</th>
          <th>Data</th>
          <th><span class="unseen">Download and delete</span></th>
        </tr>
      </thead>
      <tbody>
        ${list.map((one) => html`<${Row} key=${one.id} recording=${one} onDelete=${() => onDelete(one)} />`)}
      </tbody>
    </table>
  `;
}

function Content({ list, shown, onDelete }) {
  if (list === null) return html`<p class="quiet">Reading the list…</p>`;
  if (!shown.length) return html`<${Empty} any=${list.length} />`;
  return html`<${Table} list=${shown} onDelete=${onDelete} />`;
}

function Farewell({ doomed, onYes, onNo }) {
  const { name, rows, size_bytes: size, started_ns: started } = doomed;
  return html`
    <${Confirm} title="Delete ${name}?" verb="Delete for good" onYes=${onYes} onNo=${onNo}>
      ${count(rows)} rows, ${bytes(size)}, recorded ${moment(started)}. Its files are removed from the disk.
    <//>
  `;
}

export function Page() {
  const { list, setList, more } = useRecordings();
  const [text, setText] = useState("");
  const [which, setWhich] = useState("all");
  const [doomed, setDoomed] = useState(null);
  useEffect(() => {
    document.title = "Recordings · Kymograph";
  }, []);
  const remove = async () => {
    const { id, name } = doomed;
    setDoomed(null);
    if ((await attempt(api.remove(id))) === undefined) return;
    setList((before) => before.filter((one) => one.id !== id));
    toast({ kind: "good", title: `${name} is deleted` });
  };
  const shown = (list ?? []).filter((one) => fits(one, text, which));
  const total = shown.reduce((sum, one) => sum + (one.size_bytes ?? 0), 0);
  return html`
    <div class="title">
      <h1>Recordings</h1>
      ${list && html`<p class="title__note">${count(shown.length)} shown · ${bytes(total)}</p>`}
      <div class="title__end filter">
        <input
          type="search"
          aria-label="Filter by name, note or format"
          placeholder="Filter"
          value=${text}
          onInput=${(e) => setText(e.target.value)} />
        <${Choice} label="How they ended" options=${SHOWN} value=${which} onChange=${setWhich} />
      </div>
    </div>
    <section class="panel panel--flush">
      <${Content} list=${list} shown=${shown} onDelete=${setDoomed} />
      ${
        more &&
        html`<div class="row row--middle">
          <button class="button" onClick=${more}>Show older ones</button>
        </div>`
      }
    </section>
    ${doomed && html`<${Farewell} doomed=${doomed} onYes=${remove} onNo=${() => setDoomed(null)} />`}
  `;
}
