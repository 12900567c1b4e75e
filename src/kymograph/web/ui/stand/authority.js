// Who holds control and for how long; take it, keep it, hand it over, give it back, break it.
import { computed, html, useState } from "../html.js";
import { Icon } from "../shell/icons.js";
import { controlApi } from "../station/control_api.js";
import { askControl, control, controlAt, iHold, keeping, lease, takeControl } from "../station/control.js";
import { may, person } from "../station/person.js";
import { attempt, connection, events, tick } from "../station/state.js";
import { Draining } from "./draining.js";
import { canRename, NameForm } from "./name_form.js";
import { Refusal, refusals } from "./refusals.js";

const OLD_S = 5;
const NAMES_MAX = 8;
const refused = refusals();

/** People who lately did something here, other than the one at this page. */
const people = computed(() => {
  const told = events.value.flatMap(({ body }) => [body.by, body.holder, body.stop?.by]);
  const asked = (control.value?.commands ?? []).map(({ by }) => by);
  const names = [...told, ...asked].filter((name) => typeof name === "string" && name && name !== "local");
  return [...new Set(names)].filter((name) => name !== person.value).slice(0, NAMES_MAX);
});

async function doing(what, work) {
  try {
    await work();
    refused.clear();
  } catch (problem) {
    refused.say(what, problem);
  }
  askControl();
}

const take = () => doing("Control was not taken:", takeControl);
const release = () => {
  keeping.value = false;
  return doing("Control was not given back:", () => controlApi.release(person.peek()));
};

function Holder() {
  const held = lease.value;
  if (!held) {
    return html`<div class="holder" data-test="holder">
      <span class="holder__label">Control</span><b class="holder__name holder__name--free">nobody</b>
    </div>`;
  }
  const mine = iHold.value;
  return html`
    <div class="holder ${mine ? "holder--mine" : ""}" data-test="holder">
      <span class="holder__label">${mine ? "You hold control" : "Control is held by"}</span>
      <b class="holder__name">${held.holder}</b>
      <${Draining} left=${held.remaining_s} identity=${held.fence} />
    </div>
  `;
}

function Keep() {
  const flip = (event) => {
    keeping.value = event.target.checked;
    if (keeping.value) take();
  };
  return html`
    <label class="keep">
      <input type="checkbox" role="switch" checked=${keeping.value} onChange=${flip} data-test="keep" />
      <span>Keep it while this page is open</span>
    </label>
  `;
}

function HandOver({ onDone }) {
  const [to, setTo] = useState("");
  const give = async (name) => {
    keeping.value = false;
    await doing("Control was not handed over:", () => controlApi.handOver(person.peek(), name));
    onDone();
  };
  const submit = (event) => {
    event.preventDefault();
    if (to.trim()) give(to.trim());
  };
  return html`
    <form class="handover" onSubmit=${submit} aria-label="Hand control over">
      ${people.value.map(
        (name) => html`<button
          type="button"
          class="button"
          key=${name}
          onClick=${() => give(name)}>${name}</button>`,
      )}
      <input
        aria-label="To whom"
        placeholder=${people.value.length ? "or another name" : "to whom?"}
        value=${to}
        onInput=${(event) => setTo(event.target.value)}
        data-test="handover-to" />
      <button class="button button--main" disabled=${!to.trim()} data-test="handover-give">Hand over</button>
      <button type="button" class="button button--bare" aria-label="Do not hand over" onClick=${onDone}>
        <${Icon} name="close" />
      </button>
    </form>
  `;
}

function Mine({ onHandOver }) {
  return html`
    <${Keep} />
    <div class="row">
      <button class="button" onClick=${onHandOver} data-test="handover">Hand over…</button>
      <button class="button" onClick=${release} data-test="release">Give back</button>
    </div>
  `;
}

function Break() {
  const [sure, setSure] = useState(false);
  const doBreak = () => {
    setSure(false);
    return doing("Control was not broken:", () => controlApi.breakLease(person.peek()));
  };
  if (!sure) return html`<button
    class="button"
    onClick=${() => setSure(true)}
    data-test="break">Break…</button>`;
  return html`
    <div class="row">
      <button class="button button--warn" onClick=${doBreak} data-test="break-yes">
        Break: everything goes safe
      </button>
      <button class="button" onClick=${() => setSure(false)}>Leave it</button>
    </div>
  `;
}

function Buttons({ onHandOver, onName }) {
  if (iHold.value) return html`<${Mine} onHandOver=${onHandOver} />`;
  const free = !lease.value;
  const wish = () => (person.peek() ? take() : onName());
  return html`
    <div class="row">
      <button
        class="button ${free ? "button--main" : ""}"
        onClick=${wish}
        disabled=${!may("control")}
        data-test="take">
        <${Icon} name="hand" />Take control
      </button>
      ${!free && may("admin") && html`<${Break} />`}
    </div>
  `;
}

function Me({ onRename }) {
  if (!person.value) return null;
  return html`<p class="me">
    <${Icon} name="person" />You are <b data-test="me">${person.value}</b>
    ${canRename() && html`<button class="plain" onClick=${onRename}>change</button>`}
  </p>`;
}

/** Says when what is shown is of before: nobody shall trust it then. */
function Old() {
  const { ms, fine } = controlAt.value;
  const age = (tick.value - ms) / 1000;
  if (!ms || (fine && age < OLD_S)) return null;
  if (connection.value.state === "live" && age < OLD_S) return null;
  return html`<p class="stale" role="alert">
    <${Icon} name="unplug" />What is shown is ${Math.round(age)} s old: the station does not answer.
  </p>`;
}

export function ControlBar() {
  const [form, setForm] = useState("");
  const close = () => setForm("");
  const named = () => {
    close();
    if (form === "take") take();
  };
  return html`
    <section class="control panel" aria-label="Control">
      <${Old} />
      <div class="control__line">
        <${Holder} />
        ${
          form !== "handover" &&
          html`<${Buttons} onHandOver=${() => setForm("handover")} onName=${() => setForm("take")} />`
        }
        ${form === "handover" && iHold.value && html`<${HandOver} onDone=${close} />`}
        <${Me} onRename=${() => setForm("name")} />
      </div>
      ${(form === "take" || form === "name") && html`<${NameForm} onName=${named} />`}
      <${Refusal} of=${refused} />
    </section>
  `;
}
