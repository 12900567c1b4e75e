// The sealed files of a recording.
import { html, useState } from "../html.js";
import { bytes, count, timeOfDay } from "../format.js";
import { toast } from "../shell/toasts.js";
import { segmentAddress } from "../station/api.js";
import { Download } from "./downloads.js";

const SHOWN_FIRST = 8;

async function copy(text) {
  try {
    await navigator.clipboard.writeText(text);
    toast({ kind: "good", title: "SHA-256 copied", hint: text });
  } catch {
    toast({ kind: "bad", title: "The browser does not let this page copy.", hint: text });
  }
}

function Row({ id, segment }) {
  const { stream, filename, rows, size_bytes: size, sha256, first_ns: first, last_ns: last } = segment;
  return html`
    <tr>
      <th scope="row" data-label="File">
        <${Download} className="plain" href=${segmentAddress(id, filename)}>${filename}<//>
      </th>
      <td data-label="Stream">${stream}</td>
      <td data-label="Time">${timeOfDay(first / 1e9)} – ${timeOfDay(last / 1e9)}</td>
      <td data-label="Rows" class="num">${count(rows)}</td>
      <td data-label="Size" class="num">${bytes(size)}</td>
      <td data-label="SHA-256">
        <button class="plain code" title="Copy ${sha256}" onClick=${() => copy(sha256)}>
          ${sha256.slice(0, 12)}…
        </button>
      </td>
    </tr>
  `;
}

export function Segments({ id, segments, running }) {
  const [all, setAll] = useState(false);
  if (!segments.length) {
    return html`<p class="quiet">
      ${running ? "None yet; the first file is sealed after its interval." : "There are no sealed files."}
    </p>`;
  }
  const shown = all ? segments : segments.slice(0, SHOWN_FIRST);
  return html`
    <div class="scroll">
      <table class="table table--stack">
        <thead>
          <tr>
            <th>File</th>
            <th>Stream</th>
            <th>Time</th>
            <th class="num">Rows</th>
            <th class="num">Size</th>
            <th>SHA-256</th>
          </tr>
        </thead>
        <tbody>
          ${shown.map((segment) => html`<${Row} key=${segment.filename} id=${id} segment=${segment} />`)}
        </tbody>
      </table>
    </div>
    ${
      segments.length > shown.length &&
      html`<button class="button" onClick=${() => setAll(true)}>Show all ${segments.length} files</button>`
    }
  `;
}
