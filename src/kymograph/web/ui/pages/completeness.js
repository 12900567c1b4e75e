// Is everything here? Every recording with its state in a sentence, and what is mirrored from elsewhere.
import { html, useEffect, useRef, useState } from "../html.js";
import { bytes, count, moment } from "../format.js";
import { LedgerBadge } from "../recording/completeness.js";
import { ledgerVersion, noteLedger, useInView, useLedger } from "../recording/ledgers.js";
import { HeldMirrors, useRepeated } from "../recording/mirrors.js";
import { useRecordings } from "../recording/recordings_list.js";
import { Icon } from "../shell/icons.js";
import { link } from "../shell/router.js";
import { api } from "../station/api.js";
import { attempt } from "../station/state.js";

/** One recording; its ledger is asked for when it comes into view. */
function Row({ recording, onLedger }) {
  const box = useRef(null);
  const near = useInView(box);
  const ledger = useLedger(recording.id, ledgerVersion(recording), { near });
  useEffect(() => {
    if (ledger) onLedger(recording.id, ledger.state);
  }, [ledger?.state]);
  return html`
    <li class="check" ref=${box} data-test="check">
      <a class="check__name" href=${link("recordings", recording.id)}>${recording.name}</a>
      <span class="check__state">${ledger ? html`<${LedgerBadge} state=${ledger.state} />` : "…"}</span>
      <span class="check__summary">${ledger?.summary ?? "in turn"}</span>
      <small class="check__more"
        >${moment(recording.started_ns)} ·
        ${bytes(recording.size_bytes)}${
          ledger &&
          ` · ${count(ledger.verified.segments)} of ${count(ledger.expected.segments)} files verified`
        }${ledger?.source && ` · mirror of ${ledger.source.station ?? ledger.source.url}`}</small
      >
    </li>
  `;
}

/** The one sentence for all that was looked at so far. */
function Headline({ list, states }) {
  const known = list.map(({ id }) => states[id]).filter(Boolean);
  const bad = known.filter((state) => state === "incomplete" || state === "damaged").length;
  const running = known.filter((state) => state === "running").length;
  const kind = bad ? "bad" : "good";
  const text = bad
    ? `${count(bad)} of ${count(known.length)} not complete`
    : `Nothing missing in ${count(known.length)}`;
  return html`
    <p class="headline headline--${kind}" role="status" data-test="headline">
      <${Icon} name=${bad ? "alert" : "check"} /><span
        >${text}${running > 0 && `, ${count(running)} still running`}<small
          >${known.length < list.length && `${count(list.length - known.length)} not looked at yet; scroll down`}</small
        ></span
      >
    </p>
  `;
}

/** Read every byte of all recordings of the list, one after the other. */
function VerifyAll({ list }) {
  const [done, setDone] = useState(null);
  const wanted = useRef(false);
  useEffect(() => () => (wanted.current = false), []);
  const run = async () => {
    wanted.current = true;
    for (let at = 0; at < list.length && wanted.current; at += 1) {
      setDone(at);
      const ledger = await attempt(api.completeness(list[at].id, true));
      if (ledger) noteLedger(list[at].id, ledgerVersion(list[at]), ledger);
    }
    setDone(null);
  };
  if (done === null) {
    return html`<button class="button" onClick=${run} data-test="verify-all">
      <${Icon} name="shield" />Verify every byte of all
    </button>`;
  }
  return html`
    <span class="quiet" role="status"
      ><i class="spinner spinner--inline" aria-hidden="true"></i> ${count(done + 1)} of ${count(list.length)}:
      ${list[done].name}</span
    >
    <button class="button" onClick=${() => (wanted.current = false)}>Stop after this one</button>
  `;
}

function Nothing() {
  return html`
    <section class="empty">
      <h2>There are no recordings here</h2>
      <p>Every recording is listed here with what is expected of it, what is held, and what is missing.</p>
    </section>
  `;
}

export function Page() {
  const mirrors = useRepeated(() => api.mirrors(), "");
  const { list, more } = useRecordings(mirrors?.map((one) => one.recording_id + one.state).join());
  const [states, setStates] = useState({});
  useEffect(() => {
    document.title = "Completeness · Kymograph";
  }, []);
  const note = (id, state) => setStates((before) => ({ ...before, [id]: state }));
  return html`
    <div class="title">
      <h1>Completeness</h1>
      ${list?.length > 0 && html`<div class="title__end row"><${VerifyAll} list=${list} /></div>`}
    </div>
    ${list?.length > 0 && html`<${Headline} list=${list} states=${states} />`}
    <section class="panel panel--flush" aria-label="Recordings">
      ${list === null && html`<p class="quiet">Reading the list…</p>`}
      ${list?.length === 0 && html`<${Nothing} />`}
      <ul class="checks">
        ${(list ?? []).map((one) => html`<${Row} key=${one.id} recording=${one} onLedger=${note} />`)}
      </ul>
      ${
        more &&
        html`<div class="row row--middle">
          <button class="button" onClick=${more}>Show older ones</button>
        </div>`
      }
    </section>
    ${mirrors?.length > 0 && html`<${HeldMirrors} items=${mirrors} />`}
  `;
}
