// The form that starts a recording: a name is enough, the rest may be chosen.
import { html, useState } from "../html.js";
import { duration, nameFromNow } from "../format.js";
import { api } from "../station/api.js";
import { askStreams, attempt, formats, instruments } from "../station/state.js";
import { heldOf, KeepPast } from "./past.js";

const NAME = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}$/;

function Which({ names, chosen, setChosen }) {
  const flip = (name) =>
    setChosen(chosen.includes(name) ? chosen.filter((one) => one !== name) : [...chosen, name]);
  return html`
    <fieldset class="field">
      <legend>Instruments</legend>
      <div class="chips">
        ${names.map(
          (name) => html`
            <button
              type="button"
              key=${name}
              class="chip"
              aria-pressed=${chosen.includes(name)}
              onClick=${() => flip(name)}>
              ${name}
            </button>
          `,
        )}
      </div>
    </fieldset>
  `;
}

function recordable() {
  return (instruments.value ?? [])
    .filter(({ state, streams: own }) => state === "acquiring" && own.length)
    .map(({ name }) => name);
}

function Format({ onChange }) {
  return html`
    <div class="field">
      <label for="record-format">Format of the files</label>
      <select id="record-format" onChange=${(event) => onChange(event.target.value)}>
        <option value="">as the station has it</option>
        ${formats.value.map(
          ({ name, label }) => html`<option key=${name} value=${name}>${label ?? name}</option>`,
        )}
      </select>
      <small>Every recording can be downloaded in every format.</small>
    </div>
  `;
}

/** How much of what was before belongs to it, where the station still has any. */
function Before({ chosen, preS, setPreS }) {
  const held = Math.floor(heldOf(chosen));
  if (held < 1) return null;
  return html`
    <div class="field">
      <label for="record-pre">Begin with the last … seconds</label>
      <input
        id="record-pre"
        type="number"
        min="0"
        step="any"
        placeholder="0"
        value=${preS}
        onInput=${(e) => setPreS(e.target.value)}
        aria-invalid=${!isPast(preS)}
        autocomplete="off"
        data-test="record-pre" />
      <small class=${isPast(preS) ? "" : "wrong"}>${
        isPast(preS) ? `The station still has ${duration(held)} of what was before.` : "Seconds, not less than 0."
      }</small>
    </div>
  `;
}

function isPast(text) {
  return text === "" || Number(text) >= 0;
}

function Options({ names, chosen, setSkipped, setFormat, note, setNote, preS, setPreS }) {
  const choose = (next) => setSkipped(names.filter((one) => !next.includes(one)));
  return html`
    <details class="record__more" onToggle=${(event) => event.target.open && askStreams()}>
      <summary>What and how</summary>
      <div class="record__options">
        <${Which} names=${names} chosen=${chosen} setChosen=${choose} />
        <${Format} onChange=${setFormat} />
        <${Before} chosen=${chosen} preS=${preS} setPreS=${setPreS} />
        <div class="field">
          <label for="record-note">Notes</label>
          <input
            id="record-note"
            value=${note}
            onInput=${(e) => setNote(e.target.value)}
            autocomplete="off" />
        </div>
      </div>
    </details>
  `;
}

function Name({ name, setName, valid, fine, hint }) {
  return html`
    <div class="field">
      <label for="record-name">Name</label>
      <input
        id="record-name"
        class="record__input"
        value=${name}
        onInput=${(event) => setName(event.target.value)}
        aria-invalid=${!valid}
        autocomplete="off"
        spellcheck="false"
        data-test="record-name" />
      <small class=${fine ? "" : "wrong"}>${hint}</small>
    </div>
  `;
}

function hintFor(names, chosen, valid) {
  if (!names.length) return "Nothing is acquiring; start an instrument below first.";
  if (!valid) return "Letters, digits, dot, dash and underscore, at most 128.";
  return chosen.length ? `Records ${chosen.join(", ")}.` : "Choose an instrument.";
}

export function RecordForm() {
  const [name, setName] = useState(nameFromNow());
  const [skipped, setSkipped] = useState([]);
  const [format, setFormat] = useState("");
  const [note, setNote] = useState("");
  const [preS, setPreS] = useState("");
  const [busy, setBusy] = useState(false);
  const names = recordable();
  const chosen = names.filter((one) => !skipped.includes(one));
  const valid = NAME.test(name);
  const fine = valid && chosen.length > 0 && isPast(preS);
  const hint = hintFor(names, chosen, valid);
  const start = async (event) => {
    event.preventDefault();
    if (!fine) return;
    setBusy(true);
    const metadata = note ? { notes: note } : undefined;
    const wish = { name, instruments: chosen, format: format || undefined, metadata };
    await attempt(api.record({ ...wish, pre_s: Number(preS) || undefined }));
    setBusy(false);
  };
  return html`
    <form class="record" onSubmit=${start} aria-label="New recording">
      <button class="record__button" disabled=${busy || !fine} data-test="record">
        <i class="record__disc" aria-hidden="true"></i><span>Record</span>
      </button>
      <div class="record__fields">
        <${Name} ...${{ name, setName, valid, fine, hint }} />
        <${Options} ...${{ names, chosen, setSkipped, setFormat, note, setNote, preS, setPreS }} />
        <${KeepPast} />
      </div>
    </form>
  `;
}
