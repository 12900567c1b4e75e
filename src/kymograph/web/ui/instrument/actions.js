// What can be done with an instrument in the state it is in.
import { html, useState } from "../html.js";
import { api } from "../station/api.js";
import { attempt, refreshAll } from "../station/state.js";

const OFFERED = {
  closed: [
    ["start", "Start"],
    ["open", "Open"],
  ],
  idle: [
    ["start", "Start"],
    ["close", "Close"],
  ],
  acquiring: [
    ["stop", "Stop"],
    ["close", "Close"],
  ],
  fault: [
    ["start", "Try again"],
    ["close", "Close"],
  ],
};

export const STATE_WORDS = { closed: "Closed", idle: "Idle", acquiring: "Acquiring", fault: "Fault" };

export function StateBadge({ state }) {
  return html`<span class="badge badge--${state}"
    ><i class="dot" aria-hidden="true"></i>${STATE_WORDS[state] ?? state}</span
  >`;
}

export function Actions({ instrument }) {
  const [busy, setBusy] = useState("");
  const act = async (action) => {
    setBusy(action);
    await attempt(api.act(instrument.name, action));
    await refreshAll();
    setBusy("");
  };
  return html`
    <div class="row">
      ${(OFFERED[instrument.state] ?? []).map(
        ([action, word], i) => html`
          <button
            key=${action}
            class="button ${i === 0 && action === "start" ? "button--main" : ""}"
            disabled=${busy !== ""}
            aria-label="${word} ${instrument.name}"
            onClick=${() => act(action)}>
            ${busy === action ? "…" : word}
          </button>
        `,
      )}
    </div>
  `;
}
