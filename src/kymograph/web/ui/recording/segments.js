// The sealed files of a recording, and what a check of them says.
import { html, useState } from "../html.js";
import { bytes, count, timeOfDay } from "../format.js";
import { Icon } from "../shell/icons.js";
import { toast } from "../shell/toasts.js";
import { api, segmentAddress } from "../station/api.js";
import { attempt } from "../station/state.js";
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
        <${Download} className="plain" href=${segmentAddress(id, filename)} filename=${filename}>${filename}<//>
      </th>
      <td data-label="Stream">${stream}</td>
      <td data-label="Time">${timeOfDay(first / 1e9)} – ${timeOfDay(last / 1e9)}</td>
      <td data-label="Rows" class="num">${count(rows)}</td>
      <td data-label="Size" class="num">${bytes(size)}</td>
      <td data-label="SHA-256">
        <button class="plain code" title="Copy ${sha256}" onClick=${() => copy(sha256)}>${sha256.slice(0, 12)}…</button>
      </td>
    </tr>
  `;
}

export function Segments({ id, segments, running }) {
  const [all, setAll] = useState(false);
  if (!segments.length) {
    return html`<p class="quiet">${running ? "None yet; the first file is sealed after its interval." : "There are no sealed files."}</p>`;
  }
  const shown = all ? segments : segments.slice(0, SHOWN_FIRST);
  return html`
    <div class="scroll">
      <table class="table table--stack">
        <thead>
          <tr><th>File</th><th>Stream</th><th>Time</th><th class="num">Rows</th><th class="num">Size</th><th>SHA-256</th></tr>
        </thead>
        <tbody>${shown.map((segment) => html`<${Row} key=${segment.filename} id=${id} segment=${segment} />`)}</tbody>
      </table>
    </div>
    ${segments.length > shown.length &&
    html`<button class="button" onClick=${() => setAll(true)}>Show all ${segments.length} files</button>`}
  `;
}

function problemsOf(report) {
  const found = report.problems ?? report.missing ?? [];
  return found.map((one) => (typeof one === "string" ? one : one.message ?? one.detail ?? JSON.stringify(one)));
}

export function Verify({ id }) {
  const [busy, setBusy] = useState(false);
  const [report, setReport] = useState(null);
  const check = async () => {
    setBusy(true);
    setReport((await attempt(api.verify(id))) ?? null);
    setBusy(false);
  };
  const problems = report ? problemsOf(report) : [];
  return html`
    <div class="verify" aria-live="polite">
      <button class="button" disabled=${busy} onClick=${check} data-test="verify">
        <${Icon} name="shield" />${busy ? "Checking every byte…" : "Verify"}
      </button>
      ${report && report.ok && html`<p class="verdict verdict--good"><${Icon} name="check" />Whole: every hash, frame and row number is right.</p>`}
      ${report && !report.ok && html`
        <div class="verdict verdict--bad">
          <p><${Icon} name="alert" />Not whole:</p>
          <ul>${problems.map((text) => html`<li key=${text}>${text}</li>`)}</ul>
        </div>
      `}
    </div>
  `;
}
