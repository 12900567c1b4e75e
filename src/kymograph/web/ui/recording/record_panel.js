// The heart of the overview: what is being recorded and that it is safe, or the form that starts it.
import { html, useState } from "../html.js";
import { bytes, count, duration, stopwatch } from "../format.js";
import { link } from "../shell/router.js";
import { Icon } from "../shell/icons.js";
import { toast } from "../shell/toasts.js";
import { api } from "../station/api.js";
import { attempt, elapsedSince, recorders, streams } from "../station/state.js";
import { Fact } from "../instrument/health.js";
import { beginMark } from "./marks.js";
import { RecordForm } from "./record_form.js";

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
      toast({
        kind: "good",
        title: `${done.name} is kept`,
        hint: `${count(done.rows)} rows, ${bytes(done.size_bytes)}`,
      });
    }
    setBusy(false);
    setAsking(false);
  };
  if (!asking) {
    return html`<button class="button button--stop" data-test="stop" onClick=${() => setAsking(true)}>
      <i class="stop-sign"></i>Stop
    </button>`;
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
  const elapsed = elapsedSince(recorder.started_ns);
  const lost = recorder.rows_lost;
  return html`
    <section class="record record--on" aria-label="Recording ${recorder.name}">
      <div class="record__main">
        <p class="record__name">
          <i class="dot dot--record" aria-hidden="true"></i>Recording
          <a href=${link("recordings", recorder.recording_id)}>${recorder.name}</a>
        </p>
        <p class="record__time" role="timer" data-test="elapsed">${stopwatch(elapsed)}</p>
      </div>
      <dl class="facts record__facts">
        <${Fact} label="Rows">${count(recorder.rows)}<//>
        <${Fact} label="Size">${bytes(recorder.size_bytes)}<//>
        <${Fact} label="Rows lost" bad=${lost > 0}>${lost > 0 ? count(lost) : "none"}<//>
        <${Fact} label="Safe on disk" bad=${lag !== null && lag > 5}
          >${lag === null ? "yes" : `to ${duration(lag)} ago`}<//
        >
      </dl>
      ${recorder.error && html`<p class="fault" role="alert"><${Icon} name="alert" />${recorder.error}</p>`}
      <div class="record__buttons">
        <button class="button" onClick=${beginMark} aria-keyshortcuts="m">
          <${Icon} name="flag" />Mark <kbd>M</kbd>
        </button>
        <${StopButton} recorder=${recorder} />
      </div>
    </section>
  `;
}

export function RecordPanel() {
  const running = recorders.value;
  if (!running.length) return html`<${RecordForm} />`;
  return running.map((recorder) => html`<${Running} key=${recorder.recording_id} recorder=${recorder} />`);
}
