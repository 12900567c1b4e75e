// A check of every byte of a recording, and what it found, in words.
import { html, useState } from "../html.js";
import { count } from "../format.js";
import { Icon } from "../shell/icons.js";
import { api } from "../station/api.js";
import { attempt } from "../station/state.js";
import { gapText } from "./event_list.js";

const STATE_WORDS = {
  differs: "has changed since it was sealed",
  missing: "is not there",
  extra: "is in no list of this recording",
};

/** What is not as it was acknowledged, a sentence each. */
function damageOf({ error, files = [], journals = [] }) {
  const bad = files.filter(({ state }) => state !== "ok");
  return [
    ...(error ? [error] : []),
    ...bad.map(({ filename, state }) => `${filename} ${STATE_WORDS[state] ?? state}`),
    ...journals.filter(({ damaged }) => damaged).map(({ filename }) => `${filename} is damaged`),
  ];
}

function List({ texts }) {
  return html`<ul>
    ${texts.map((text) => html`<li key=${text}>${text}</li>`)}
  </ul>`;
}

function Verdict({ report }) {
  const gaps = (report.gaps ?? []).map(gapText);
  const files = count((report.files ?? []).length);
  if (!report.ok) {
    return html`
      <div class="verdict verdict--bad">
        <p><${Icon} name="alert" />Not as it was sealed:</p>
        <${List} texts=${[...damageOf(report), ...gaps]} />
      </div>
    `;
  }
  if (!gaps.length) {
    return html`<p class="verdict verdict--good">
      <${Icon} name="check" />Whole: ${count(report.rows)} rows in ${files} files, all as sealed, none
      missing.
    </p>`;
  }
  return html`
    <div class="verdict verdict--good">
      <p><${Icon} name="check" />All ${files} files are as sealed. These rows never came:</p>
      <${List} texts=${gaps} />
    </div>
  `;
}

export function Verify({ id }) {
  const [busy, setBusy] = useState(false);
  const [report, setReport] = useState(null);
  const check = async () => {
    setBusy(true);
    setReport((await attempt(api.verify(id))) ?? null);
    setBusy(false);
  };
  return html`
    <div class="verify" aria-live="polite">
      <button class="button" disabled=${busy} onClick=${check} data-test="verify">
        <${Icon} name="shield" />${busy ? "Checking every byte…" : "Verify"}
      </button>
      ${report && html`<${Verdict} report=${report} />`}
    </div>
  `;
}
