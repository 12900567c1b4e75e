// What an instrument is doing this second, as a badge, a sentence, and which actions make sense now.
import { html } from "../html.js";
import { duration, rate } from "../format.js";
import { Icon } from "../shell/icons.js";

const STATE_WORDS = { closed: "Closed", idle: "Idle", acquiring: "Acquiring", fault: "Fault" };
const MOVING_WORDS = { closed: "Connecting", fault: "Connecting" };

/** Whether its driver is in the middle of something that takes long. */
export function isMoving({ activity }) {
  return Boolean(activity);
}

/** What makes sense now, by action. Stop and close may cut short what is under way. */
export function possible({ state, paused, activity }) {
  const closed = state === "closed";
  const moving = Boolean(activity);
  return {
    open: (closed || state === "fault") && !moving,
    start: state !== "acquiring" && !paused && !moving,
    pause: state === "acquiring",
    resume: Boolean(paused),
    stop: state === "acquiring" || Boolean(paused) || moving,
    close: !closed || moving,
  };
}

function capital(text) {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

/** Say in a sentence what it is doing. */
export function doing({ state, paused, activity, health, retry_in_s: retry }) {
  if (activity) return `${capital(activity)}…`;
  if (paused) return "Paused. Connected and set as it was; Resume goes on.";
  if (state === "closed") return "Not connected.";
  if (state === "idle") return "Connected, not acquiring.";
  if (state === "fault")
    return `Not reached${retry ? `; trying again in ${duration(Math.ceil(retry))}` : ""}.`;
  if (!health.rows || health.age_s === null) return "Acquiring; waiting for the first reading.";
  return `Acquiring at ${rate(health.rate_hz)}, newest ${duration(health.age_s)} ago.`;
}

export function StateBadge({ instrument }) {
  const { state, paused } = instrument;
  if (paused) return html`<span class="badge badge--paused"><${Icon} name="pause" />Paused</span>`;
  const words = (isMoving(instrument) && MOVING_WORDS[state]) || STATE_WORDS[state] || state;
  return html`<span class="badge badge--${state}"><i class="dot" aria-hidden="true"></i>${words}</span>`;
}
