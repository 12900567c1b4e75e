// Keys of a station: made here, shown once, revoked here.
import { html, useState } from "../html.js";
import { moment } from "../format.js";
import { usePolled } from "../readings/polled.js";
import { copyText } from "../shell/copy.js";
import { Confirm } from "../shell/dialog.js";
import { Icon } from "../shell/icons.js";
import { attempt } from "../station/state.js";
import { fleetApi } from "./fleet_api.js";

/** The key itself, as long as the page is not told to forget it. */
export function Shown({ made, onClose }) {
  return html`
    <div class="fleet-key" role="status" data-test="new-key">
      <p>
        The key of <b>${made.station}</b>${made.label && `, ${made.label}`}. It is shown this once; put it into
        the station's file.
      </p>
      <code class="fleet-key__text">${made.key}</code>
      <div class="row">
        <button class="button button--main" onClick=${() => copyText("The key", made.key)}>
          <${Icon} name="copy" />Copy
        </button>
        <button class="button" onClick=${onClose}>I have it</button>
      </div>
    </div>
  `;
}

/** A key for a station that was not heard yet. */
export function NewStation({ onMade }) {
  const [open, setOpen] = useState(false);
  const [name, setName] = useState("");
  const [made, setMade] = useState(null);
  const submit = async (event) => {
    event.preventDefault();
    const key = await attempt(fleetApi.makeKey(name.trim(), ""));
    if (!key) return;
    setMade(key);
    setName("");
    onMade();
  };
  const close = () => {
    setMade(null);
    setOpen(false);
  };
  if (made) return html`<${Shown} made=${made} onClose=${close} />`;
  if (!open) {
    return html`<button class="button" onClick=${() => setOpen(true)} data-test="new-station">
      <${Icon} name="plus" />Add a station
    </button>`;
  }
  return html`
    <form class="row fleet-new" onSubmit=${submit} aria-label="Add a station">
      <input
        aria-label="Name of the station"
        placeholder="name of the station"
        value=${name}
        autocomplete="off"
        spellcheck="false"
        onInput=${(event) => setName(event.target.value)} />
      <button class="button button--main" disabled=${!name.trim()}>Make its key</button>
      <button type="button" class="button" onClick=${close}>Not now</button>
    </form>
  `;
}

function MakeForm({ station, onMade }) {
  const [label, setLabel] = useState("");
  const submit = async (event) => {
    event.preventDefault();
    const made = await attempt(fleetApi.makeKey(station, label.trim()));
    if (!made) return;
    setLabel("");
    onMade(made);
  };
  return html`
    <form class="row fleet-new" onSubmit=${submit} aria-label="Make a key">
      <input
        aria-label="What the key is for"
        placeholder="what it is for (may be empty)"
        maxlength="128"
        value=${label}
        autocomplete="off"
        onInput=${(event) => setLabel(event.target.value)} />
      <button class="button" data-test="make-key"><${Icon} name="plus" />Make a key</button>
    </form>
  `;
}

function Row({ one, onRevoke }) {
  const used = one.used_ns ? `used ${moment(one.used_ns)}` : "never used";
  return html`
    <li class="fleet-line" data-key=${one.id}>
      <span class="code">${one.id}</span>
      <span class="fleet-line__main">${one.label || html`<span class="quiet">no label</span>`}
        <small>made ${moment(one.created_ns)}, ${one.revoked_ns ? `revoked ${moment(one.revoked_ns)}` : used}</small></span
      >
      ${
        one.revoked_ns
          ? html`<span class="badge"><${Icon} name="close" />revoked</span>`
          : html`<button class="button" onClick=${() => onRevoke(one)}>Revoke</button>`
      }
    </li>
  `;
}

export function Keys({ station }) {
  const { answer, again } = usePolled(() => fleetApi.keys(station), 15, station);
  const [made, setMade] = useState(null);
  const [asked, setAsked] = useState(null);
  const revoke = async () => {
    await attempt(fleetApi.revokeKey(station, asked.id));
    setAsked(null);
    again();
  };
  const note = (key) => {
    setMade(key);
    again();
  };
  const items = answer?.items;
  return html`
    <section class="panel" aria-label="Keys" data-test="keys">
      <h2>Keys</h2>
      ${made && html`<${Shown} made=${made} onClose=${() => setMade(null)} />`}
      ${items?.length === 0 && html`<p class="quiet">None was made for this station.</p>`}
      <ul class="fleet-lines">
        ${(items ?? []).map((one) => html`<${Row} key=${one.id} one=${one} onRevoke=${setAsked} />`)}
      </ul>
      <${MakeForm} station=${station} onMade=${note} />
      ${
        asked &&
        html`<${Confirm}
          title="Revoke this key?"
          verb="Revoke it"
          onYes=${revoke}
          onNo=${() => setAsked(null)}>
          ${asked.label || asked.id} of ${station} is worthless from then on, and cannot be brought back. What it
          has shipped stays.
        <//>`
      }
    </section>
  `;
}
