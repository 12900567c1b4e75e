// Interlocks: what each watches, how things stand with it, how far danger is, and letting a latched one go.
import { html } from "../html.js";
import { Icon } from "../shell/icons.js";
import { controlApi } from "../station/control_api.js";
import { askControl, control } from "../station/control.js";
import { person } from "../station/person.js";
import { streams } from "../station/state.js";
import { Refusal, refusals } from "./refusals.js";

const refused = refusals();

/** The state for people: a latched trip whose cause is gone is told apart from one that is dangerous now. */
export function stateOf({ state, latched, margin, stale, kind }) {
  if (stale) return "stale";
  if (state === "ok") return "clear";
  if (state === "pending") return "waiting";
  if (kind === "permit") return latched ? "latched" : "holds back";
  return latched && margin !== null && margin > 0 ? "latched" : "tripped";
}

const TONES = {
  clear: "good",
  waiting: "wait",
  "holds back": "wait",
  stale: "bad",
  latched: "bad",
  tripped: "bad",
};

/** Split "stand.P1" into its channel, with what is known of it. */
function channelOf(name) {
  const at = name.lastIndexOf(".");
  const stream = streams.value.find((one) => one.name === name.slice(0, at));
  return stream?.channels.find((one) => one.name === name.slice(at + 1)) ?? null;
}

/** How near danger is, 0 far to 1 there, on the span of the channel; null where that is no one number. */
function nearness({ margin, names }) {
  const channel = names.length === 1 ? channelOf(names[0]) : null;
  if (margin === null || !channel || channel.low === null || channel.high === null) return null;
  return Math.min(1, Math.max(0, 1 - margin / (channel.high - channel.low)));
}

function Margin({ lock }) {
  const near = nearness(lock);
  if (near === null) return null;
  return html`<div
    class="margin"
    role="meter"
    aria-label="How near danger is"
    aria-valuenow=${Math.round(near * 100)}>
    <i style=${{ transform: `scaleX(${near})` }} class=${near > 0.9 ? "margin--near" : ""}></i>
  </div>`;
}

async function reset(name) {
  refused.clear();
  try {
    await controlApi.resetInterlock(name, person.peek());
  } catch (problem) {
    refused.say(`${name} was not reset:`, problem);
  }
  askControl();
}

function Lock({ lock }) {
  const state = stateOf(lock);
  const tripped = lock.state === "tripped";
  const kept = tripped && lock.latched;
  return html`
    <li class="lock lock--${TONES[state]}" data-lock=${lock.name} data-state=${state}>
      <div class="lock__head">
        <b>${lock.name}</b>
        <span class="lock__state">${TONES[state] === "bad" && html`<${Icon} name="alert" />`}${state}</span>
      </div>
      ${lock.message && state !== "clear" && html`<p class="lock__message">${lock.message}</p>`}
      <p class="lock__now">${lock.now}</p>
      ${
        kept &&
        lock.reason &&
        !lock.reason.includes(lock.now) &&
        html`<p class="lock__now">tripped at: ${lock.reason.replace(`${lock.message}: `, "")}</p>`
      }
      <${Margin} lock=${lock} />
      <p class="lock__what">
        ${lock.kind === "trip" ? "trips if" : "permits if"} <code>${lock.expression}</code>
        ${lock.applies_to.length > 0 && html` · ${lock.applies_to.join(", ")}`}
      </p>
      ${
        kept &&
        html`<button
          class="button"
          onClick=${() => reset(lock.name)}
          data-test="reset-lock">Reset ${lock.name}</button>`
      }
    </li>
  `;
}

export function Interlocks() {
  const locks = control.value?.interlocks ?? [];
  return html`
    <section class="panel" aria-label="Interlocks">
      <h2>Interlocks</h2>
      ${!locks.length && html`<p class="quiet">The station file has none.</p>`}
      <ul class="locks">${locks.map((lock) => html`<${Lock} key=${lock.name} lock=${lock} />`)}</ul>
      <${Refusal} of=${refused} />
    </section>
  `;
}
