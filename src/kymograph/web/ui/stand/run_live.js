// A run as it goes on: which step, what it waits for, how long still; pause, go on, abort.
import { html, useState } from "../html.js";
import { moment } from "../format.js";
import { controlApi } from "../station/control_api.js";
import { person } from "../station/person.js";
import { Draining } from "./draining.js";
import { Refusal, refusals } from "./refusals.js";
import { noteRun, waitText } from "./runs.js";
import { Timeline } from "./timeline.js";

const WORDS = {
  running: "Running",
  paused: "Paused",
  ending: "Ending: the last steps are done",
  done: "Done",
  aborted: "Aborted",
  failed: "Failed",
};
const refused = refusals();

async function act(run, action, reason) {
  refused.clear();
  try {
    noteRun(await controlApi.runAction(run.id, action, person.peek(), reason));
  } catch (problem) {
    refused.say(`The run did not ${action}:`, problem);
  }
}

function Where({ run }) {
  const level = ({ name, round, times }) => (times > 1 ? `${name} ${round} of ${times}` : name);
  const path = (run.path ?? []).map(level);
  return html`
    <p class="run__where" data-test="run-where">
      ${path.length > 0 && html`<span>${path.join(" › ")}</span>`}
      <b>${waitText(run) || (run.line ? `line ${run.line}` : "…")}</b>
      ${run.left_s !== null && run.left_s !== undefined && html`<${Draining}
        left=${run.left_s}
        identity=${`${run.id}${run.line}${run.waits_for}`} />`}
    </p>
  `;
}

function Buttons({ run }) {
  const [reason, setReason] = useState(null);
  if (reason !== null) {
    return html`
      <form
        class="handover"
        onSubmit=${(event) => (event.preventDefault(), act(run, "abort", reason), setReason(null))}>
        <input
          aria-label="Why"
          placeholder="why? (may be left empty)"
          value=${reason}
          onInput=${(e) => setReason(e.target.value)} />
        <button class="button button--danger" data-test="abort-yes">Abort now</button>
        <button type="button" class="button" onClick=${() => setReason(null)}>Go on</button>
      </form>
    `;
  }
  const paused = run.state === "paused";
  return html`
    <div class="row">
      ${
        run.state !== "ending" &&
        html`<button
          class="button"
          onClick=${() => act(run, paused ? "resume" : "pause")}
          data-test=${paused ? "resume" : "pause"}>
            ${paused ? "Go on" : "Pause"}
          </button>
          <button
            class="button button--warn"
            onClick=${() => setReason("")}
            data-test="abort">Abort…</button>`
      }
    </div>
  `;
}

/** The present run. */
export function RunLive({ run }) {
  return html`
    <article
      class="run run--${run.state}"
      aria-label="Run of ${run.sequence}"
      data-test="run"
      data-state=${run.state}>
      <header class="run__head">
        <h3>${run.sequence}</h3>
        <span class="run__state" role="status">${WORDS[run.state] ?? run.state}</span>
      </header>
      <${Where} run=${run} />
      <${Buttons} run=${run} />
      <${Timeline} steps=${run.timeline} at=${run.at} busy=${run.busy} />
      <p class="footnote">
        by ${run.by}, ${run.keep ? "keeps control by itself" : "as long as control is kept"}${
          run.failures?.length > 0 && html` · failed: ${run.failures.join("; ")}`
        }
      </p>
      <${Refusal} of=${refused} />
    </article>
  `;
}

/** A run that is over, in a line. */
export function RunLine({ run }) {
  return html`
    <li class="runline runline--${run.state}" data-test="run-over" data-state=${run.state}>
      <span class="runline__state">${run.state}</span>
      <b>${run.sequence}</b>
      <span class="runline__why">${run.reason || (run.failures ?? []).join("; ")}</span>
      <small>${run.by}, ${moment(run.started_ns)}</small>
    </li>
  `;
}
