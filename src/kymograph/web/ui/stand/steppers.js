// What is turned or driven rather than opened: where it is, how far it may go, and a move by so much.
import { html, useState } from "../html.js";
import { number, unitSign } from "../format.js";
import { link } from "../shell/router.js";
import { Icon } from "../shell/icons.js";
import { askControl, control } from "../station/control.js";
import { instruments } from "../station/state.js";
import { isValve, moveBy, moveOrder, siblings } from "./orders.js";
import { Refusal, refusals } from "./refusals.js";

const STEPS = [-90, -10, 10, 90];

/** What the device says of a position that cannot be relied on, or "". */
function lostText({ value, instrument }) {
  const owner = instruments.value?.find((one) => one.name === instrument);
  if (value === null || value === undefined) return "position lost: it is not known where it is";
  return owner?.device?.position_lost ? owner.activity || "position lost: it counts from its start" : "";
}

function placeText(value) {
  return value === null || value === undefined ? number(null) : value.toFixed(1).replace("-", "−");
}

function Scale({ actuator }) {
  const { low, high, value } = actuator;
  const share = (v) => `${Math.min(100, Math.max(0, ((v - low) / (high - low)) * 100))}%`;
  return html`
    <div class="scale2" aria-hidden="true">
      <i class="scale2__zero" style=${{ left: share(0) }}></i>
      ${value !== null && value !== undefined && html`<i
        class="scale2__at"
        style=${{ left: share(value) }}></i>`}
      <span>${placeText(low)}</span><span>${placeText(high)}${unitSign(actuator.unit)}</span>
    </div>
  `;
}

function Mover({ actuator, onMove, busy }) {
  const [text, setText] = useState("");
  const amount = Number(text.replace(",", "."));
  const submit = (event) => {
    event.preventDefault();
    if (text !== "" && Number.isFinite(amount)) onMove(amount);
  };
  return html`
    <form class="mover" onSubmit=${submit}>
      <div class="mover__steps" role="group" aria-label="Turn ${actuator.name} by">
        ${STEPS.map(
          (step) => html`<button
            type="button"
            class="button"
            key=${step}
            disabled=${busy}
            aria-label="Turn ${actuator.name} by ${step}"
            onClick=${() => onMove(step)}>
            ${step > 0 ? "+" : "−"}${Math.abs(step)}
          </button>`,
        )}
      </div>
      <div class="mover__free">
        <input
          inputmode="decimal"
          aria-label="Turn ${actuator.name} by how many ${actuator.unit}"
          placeholder="by …${unitSign(actuator.unit)}"
          value=${text}
          onInput=${(event) => setText(event.target.value)} />
        <button class="button" disabled=${busy || text === "" || !Number.isFinite(amount)}>
          ${busy ? html`<i class="spinner" aria-hidden="true"></i>` : "Move"}
        </button>
      </div>
    </form>
  `;
}

function Stepper({ actuator, movable }) {
  const [busy, setBusy] = useState(false);
  const [refused] = useState(refusals);
  const move = async (amount) => {
    setBusy(true);
    refused.clear();
    try {
      await moveBy(actuator, amount);
    } catch (problem) {
      refused.say("It was not moved:", problem);
    }
    setBusy(false);
    askControl();
  };
  const lost = lostText(actuator);
  return html`
    <article
      class="stepper ${busy ? "stepper--moving" : ""}"
      aria-label="Motor ${actuator.name}"
      data-motor=${actuator.name}>
      <header>
        <h3>${actuator.name}</h3>
        <p class="stepper__at"><b>${placeText(actuator.value)}</b>${unitSign(actuator.unit)}</p>
      </header>
      <${Scale} actuator=${actuator} />
      ${lost && html`<p class="stepper__lost"><${Icon} name="alert" />${lost}</p>`}
      ${
        movable
          ? html`<${Mover} actuator=${actuator} onMove=${move} busy=${busy} />`
          : html`<a href=${link("instruments", actuator.instrument)}>Commands of ${actuator.instrument}</a>`
      }
      <${Refusal} of=${refused} />
    </article>
  `;
}

export function Steppers() {
  const all = (control.value?.actuators ?? []).filter((one) => !isValve(one));
  if (!all.length) return null;
  return html`
    <section class="panel" aria-label="Motors">
      <h2>Motors</h2>
      <div class="steppers">
        ${all.map((one) => {
          const count = siblings(control.value.actuators, one.instrument, false).length;
          return html`<${Stepper}
            key=${`${one.instrument}.${one.name}`}
            actuator=${one}
            movable=${moveOrder(one.instrument, count) !== null} />`;
        })}
      </div>
    </section>
  `;
}
