// The heart of the overview: start a recording, and see that it is safe while it runs.
import { html, useState } from "../html.js";
import { bytes, count, duration, nameFromNow, stopwatch } from "../format.js";
import { link } from "../shell/router.js";
import { Icon } from "../shell/icons.js";
import { toast } from "../shell/toasts.js";
import { api } from "../station/api.js";
import { attempt, clockOffset, formats, instruments, recorders, streams, tick } from "../station/state.js";
import { Fact } from "../instrument/health.js";
import { beginMark } from "./marks.js";

const NAME = /^[A-Za-z0-9._-]{1,128}$/;
export const FORMAT_WORDS = {
  parquet: "Parquet", hdf5: "HDF5", csv: "CSV", jsonl: "JSON Lines", mcap: "MCAP",
};

/** How long ago the newest safe row arrived, in seconds, the worst of all streams; null where unknown. */
function durableLag(recorder) {
  const lags = recorder.streams.map(({ stream, next_seq: next, durable_seq: safe }) => {
    const hz = streams.value.find((one) => one.name === stream)?.rate_hz;
    return hz ? (next - safe) / hz : null;
  });
  const known = lags.filter((lag) => lag !== null);
  return known.length ? Math.max(...known) : null;
}

function StopButton({ recorder }) {
  const [asking, setAsking] = useState(false);
  const [busy, setBusy] = useState(false);
  const stop = async () => {
    setBusy(true);
    const done = await attempt(api.stopRecording(recorder.recording_id));
    if (done) {
      recorders.value = recorders.value.filter((one) => one.recording_id !== recorder.recording_id);
      toast({ kind: "good", title: `${done.name} is kept`, hint: `${count(done.rows)} rows, ${bytes(done.size_bytes)}` });
    }
    setBusy(false);
    setAsking(false);
  };
  if (!asking) {
    return html`<button class="button button--stop" data-test="stop" onClick=${() => setAsking(true)}><i class="stop-sign"></i>Stop</button>`;
  }
  return html`
    <div class="row" role="group" aria-label="Really stop ${recorder.name}?">
      <button class="button button--danger" data-test="stop-yes" autofocus disabled=${busy} onClick=${stop}>
        ${busy ? "Sealing…" : "Stop now"}
      </button>
      <button class="button" disabled=${busy} onClick=${() => setAsking(false)}>Go on recording</button>
    </div>
  `;
}

function Running({ recorder }) {
  const lag = durableLag(recorder);
  const elapsed = tick.value / 1000 + clockOffset.value - recorder.started_ns / 1e9;
  const lost = recorder.rows_lost;
  return html`
    <section class="record record--on" aria-label="Recording ${recorder.name}">
      <div class="record__main">
        <p class="record__name"><i class="dot dot--record" aria-hidden="true"></i>Recording
          <a href=${link("recordings", recorder.recording_id)}>${recorder.name}</a></p>
        <p class="record__time" role="timer" data-test="elapsed">${stopwatch(elapsed)}</p>
      </div>
      <dl class="facts record__facts">
        <${Fact} label="Rows">${count(recorder.rows)}<//>
        <${Fact} label="Size">${bytes(recorder.size_bytes)}<//>
        <${Fact} label="Rows lost" bad=${lost > 0}>${lost > 0 ? count(lost) : "none"}<//>
        <${Fact} label="Safe on disk" bad=${lag !== null && lag > 5}>${lag === null ? "yes" : `to ${duration(lag)} ago`}<//>
      </dl>
      ${recorder.error && html`<p class="fault" role="alert"><${Icon} name="alert" />${recorder.error}</p>`}
      <div class="record__buttons">
        <button class="button" onClick=${beginMark} aria-keyshortcuts="m"><${Icon} name="flag" />Mark <kbd>M</kbd></button>
        <${StopButton} recorder=${recorder} />
      </div>
    </section>
  `;
}

function Which({ names, chosen, setChosen }) {
  const flip = (name) => setChosen(chosen.includes(name) ? chosen.filter((one) => one !== name) : [...chosen, name]);
  return html`
    <fieldset class="field">
      <legend>Instruments</legend>
      <div class="chips">
        ${names.map(
          (name) => html`
            <button type="button" key=${name} class="chip" aria-pressed=${chosen.includes(name)} onClick=${() => flip(name)}>${name}</button>
          `,
        )}
      </div>
    </fieldset>
  `;
}

function recordable() {
  return (instruments.value ?? []).filter(({ state, streams: own }) => state === "acquiring" && own.length).map(({ name }) => name);
}

export function RecordForm() {
  const [name, setName] = useState(nameFromNow());
  const [skipped, setSkipped] = useState([]);
  const [format, setFormat] = useState("");
  const [note, setNote] = useState("");
  const [busy, setBusy] = useState(false);
  const names = recordable();
  const chosen = names.filter((one) => !skipped.includes(one));
  const valid = NAME.test(name);
  const start = async (event) => {
    event.preventDefault();
    if (!valid || !chosen.length) return;
    setBusy(true);
    const wish = { name, instruments: chosen, format: format || undefined, metadata: note ? { notes: note } : undefined };
    const begun = await attempt(api.record(wish));
    setBusy(false);
    if (begun) setNote("");
  };
  const hint = !names.length
    ? "Nothing is acquiring; start an instrument below first."
    : !valid ? "Letters, digits, dot, dash and underscore, at most 128." : `Records ${chosen.join(", ") || "nothing"}.`;
  return html`
    <form class="record" onSubmit=${start} aria-label="New recording">
      <button class="record__button" disabled=${busy || !valid || !chosen.length} data-test="record">
        <i class="record__disc" aria-hidden="true"></i><span>Record</span>
      </button>
      <div class="record__fields">
        <div class="field">
          <label for="record-name">Name</label>
          <input id="record-name" class="record__input" value=${name} onInput=${(e) => setName(e.target.value)} aria-invalid=${!valid}
            autocomplete="off" spellcheck="false" data-test="record-name" />
          <small class=${valid && chosen.length ? "" : "wrong"}>${hint}</small>
        </div>
        <details class="record__more">
          <summary>What and how</summary>
          <div class="record__options">
            <${Which} names=${names} chosen=${chosen} setChosen=${(next) => setSkipped(names.filter((one) => !next.includes(one)))} />
            <div class="field">
              <label for="record-format">Format of the files</label>
              <select id="record-format" onChange=${(e) => setFormat(e.target.value)}>
                <option value="">as the station has it</option>
                ${formats.value.map((one) => html`<option key=${one} value=${one}>${FORMAT_WORDS[one] ?? one}</option>`)}
              </select>
              <small>Every recording can be downloaded in every format.</small>
            </div>
            <div class="field">
              <label for="record-note">Notes</label>
              <input id="record-note" value=${note} onInput=${(e) => setNote(e.target.value)} autocomplete="off" />
            </div>
          </div>
        </details>
      </div>
    </form>
  `;
}

export function RecordPanel() {
  const running = recorders.value;
  if (!running.length) return html`<${RecordForm} />`;
  return running.map((recorder) => html`<${Running} key=${recorder.recording_id} recorder=${recorder} />`);
}
