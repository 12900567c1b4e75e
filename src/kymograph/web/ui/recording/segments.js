// The sealed files of a recording.
import { html, useMemo, useState } from "../html.js";
import { bytes, count, timeOfDay } from "../format.js";
import { copyText } from "../shell/copy.js";
import { Icon } from "../shell/icons.js";
import { segmentAddress } from "../station/api.js";
import { Download } from "./downloads.js";

const SHOWN_FIRST = 8;
const SHOWN_MORE = 200;

const STATES = {
  verified: ["good", "check", "verified"],
  held: ["", null, "held"],
  missing: ["bad", "alert", "missing"],
  differs: ["bad", "alert", "differs"],
};

function State({ state }) {
  const [kind, icon, words] = STATES[state];
  return html`<span class="badge badge--${kind}">${icon && html`<${Icon} name=${icon} />`}${words}</span>`;
}

/** What should be there according to the ledger, and what is known of the files that are there. */
function joined(segments, ledger) {
  const states = new Map((ledger?.files ?? []).map((file) => [file.filename, file]));
  const there = segments.map((one) => ({ ...one, state: states.get(one.filename)?.state ?? "held" }));
  const names = new Set(segments.map(({ filename }) => filename));
  const merely = (ledger?.files ?? []).filter(
    ({ filename, state }) => !names.has(filename) && state !== "held",
  );
  const byPlace = (a, b) => a.index - b.index || (a.stream < b.stream ? -1 : 1);
  return [...there, ...merely].sort(byPlace);
}

/** A link, where there is something to download. */
function FileName({ id, filename, state }) {
  if (state === "missing") return filename;
  return html`<${Download} className="plain" href=${segmentAddress(id, filename)}>${filename}<//>`;
}

function Row({ id, segment, newest, several }) {
  const { stream, filename, rows, size_bytes: size, sha256, state, first_ns: first, last_ns: last } = segment;
  return html`
    <tr class=${newest ? "newest" : ""}>
      <th scope="row" data-label="File">
        <${FileName} id=${id} filename=${filename} state=${state} />
        ${newest && html`<span class="tag tag--newest" data-test="newest">newest</span>`}
      </th>
      ${several && html`<td data-label="Stream">${stream}</td>`}
      <td data-label="Time">${first ? `${timeOfDay(first / 1e9)} – ${timeOfDay(last / 1e9)}` : "–"}</td>
      <td data-label="Rows" class="num">${count(rows)}</td>
      <td data-label="Size" class="num">${bytes(size)}</td>
      <td data-label="State"><${State} state=${state} /></td>
      <td data-label="SHA-256">
        <button class="plain code" title="Copy ${sha256}" onClick=${() => copyText("SHA-256", sha256)}>
          ${sha256.slice(0, 12)}…
        </button>
      </td>
    </tr>
  `;
}

/** While it runs the newest file is on top, and marked. */
export function Segments({ id, segments, ledger, running }) {
  const [limit, setLimit] = useState(SHOWN_FIRST);
  const files = useMemo(() => joined(segments, ledger), [segments, ledger]);
  if (!files.length) {
    return html`<p class="quiet">
      ${running ? "None yet; the first file is sealed after its interval." : "There are no sealed files."}
    </p>`;
  }
  const several = files.some(({ stream }) => stream !== files[0].stream);
  const shown = running ? files.slice(-limit).reverse() : files.slice(0, limit);
  return html`
    <div class="scroll">
      <table class="table table--stack" data-test="files">
        <thead>
          <tr>
            <th>File</th>
            ${several && html`<th>Stream</th>`}
            <th>Time</th>
            <th class="num">Rows</th>
            <th class="num">Size</th>
            <th>State</th>
            <th>SHA-256</th>
          </tr>
        </thead>
        <tbody>
          ${shown.map(
            (segment, i) =>
              html`<${Row}
                key=${segment.filename}
                id=${id}
                segment=${segment}
                newest=${running && i === 0}
                several=${several} />`,
          )}
        </tbody>
      </table>
    </div>
    ${
      files.length > shown.length &&
      html`<button class="button" onClick=${() => setLimit(limit + SHOWN_MORE)}>
        Show more of ${count(files.length)} files
      </button>`
    }
  `;
}
