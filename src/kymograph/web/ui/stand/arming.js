// Arm, then execute: two deliberate steps, and the time in which the second has to come.
import { html, useState } from "../html.js";
import { Icon } from "../shell/icons.js";
import { controlApi } from "../station/control_api.js";
import { askControl, control, order } from "../station/control.js";
import { person } from "../station/person.js";
import { attempt } from "../station/state.js";
import { Draining } from "./draining.js";

const ARMED_S = 20;

/** What is armed, by target. */
export function armedOf(target) {
  return control.value?.armed?.find((one) => one.target === target) ?? null;
}

/** Whether a refusal can be helped by arming. */
export function wantsArming(problem) {
  return /\barm\b|\barmed\b/i.test(`${problem?.message ?? ""} ${problem?.hint ?? ""}`);
}

export function ArmButton({ target, onArmed }) {
  const [busy, setBusy] = useState(false);
  const arm = async () => {
    setBusy(true);
    const done = await attempt(controlApi.arm(target, order(), ARMED_S));
    setBusy(false);
    if (!done) return;
    onArmed?.();
    askControl();
  };
  return html`<button class="button button--arm" disabled=${busy} onClick=${arm} data-test="arm">
    <${Icon} name="alert" />Arm ${target}
  </button>`;
}

/** Everything that is armed, with its time running out; `onExecute(target)` gives the word and the deed. */
export function ArmedList({ executeOf }) {
  const armed = control.value?.armed ?? [];
  return armed.map(
    (one) => html`<${ArmedOne} key=${one.target} armed=${one} execute=${executeOf(one.target)} />`,
  );
}

function ArmedOne({ armed, execute }) {
  const mine = armed.by === person.value;
  const disarm = async () => {
    await attempt(controlApi.disarm(armed.target, person.peek()));
    askControl();
  };
  return html`
    <div class="armed" role="status" data-test="armed" aria-label="${armed.target} is armed">
      <p class="armed__word">ARMED</p>
      <p class="armed__what"><b>${armed.target}</b> by ${armed.by}, for one execution</p>
      <${Draining} left=${armed.remaining_s} identity=${`${armed.target}${armed.fence}`} />
      <div class="row">
        ${
          mine &&
          execute &&
          html`<button
            class="button button--danger"
            data-test="execute"
            onClick=${execute.act}>${execute.word}</button>`
        }
        <button class="button" onClick=${disarm}>Disarm</button>
      </div>
    </div>
  `;
}
