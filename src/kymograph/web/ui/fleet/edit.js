// What a station is called and where it is, as people say it.
import { html, useState } from "../html.js";
import { toast } from "../shell/toasts.js";
import { attempt } from "../station/state.js";
import { fleetApi } from "./fleet_api.js";

const FIELDS = [
  ["title", "Title", {}],
  ["place", "Place", {}],
  ["latitude", "Latitude, ° north", { min: -90, max: 90 }],
  ["longitude", "Longitude, ° east", { min: -180, max: 180 }],
];

const asText = (value) => (value === null || value === undefined ? "" : String(value));

/** A number, null where nothing stands, undefined where something else stands. */
function degrees(text, { min, max }) {
  const plain = text.trim().replace("−", "-").replace(",", ".");
  if (!plain) return null;
  const value = Number(plain);
  return Number.isFinite(value) && value >= min && value <= max ? value : undefined;
}

function wishOf(texts) {
  const wish = {};
  for (const [name, , limits] of FIELDS) {
    wish[name] = "min" in limits ? degrees(texts[name], limits) : texts[name].trim();
  }
  return wish;
}

function Field({ id, name, label, limits, text, onInput }) {
  const wrong = "min" in limits && degrees(text, limits) === undefined;
  return html`
    <div class="field">
      <label for=${id}>${label}</label>
      <input
        id=${id}
        name=${name}
        value=${text}
        maxlength="200"
        inputmode=${"min" in limits ? "decimal" : null}
        aria-invalid=${wrong}
        autocomplete="off"
        onInput=${(event) => onInput(event.target.value)} />
      ${wrong && html`<small class="wrong">a number from ${limits.min} to ${limits.max}</small>`}
    </div>
  `;
}

/** `onDone(station)` with what the hub says then, or with null if nothing is to be changed. */
export function EditForm({ station, onDone }) {
  const [texts, setTexts] = useState(() =>
    Object.fromEntries(FIELDS.map(([name]) => [name, asText(station[name])])),
  );
  const [busy, setBusy] = useState(false);
  const wish = wishOf(texts);
  const half = (wish.latitude === null) !== (wish.longitude === null);
  const wrong = half || wish.latitude === undefined || wish.longitude === undefined;
  const submit = async (event) => {
    event.preventDefault();
    if (wrong) return;
    setBusy(true);
    const changed = await attempt(fleetApi.change(station.station, wish));
    setBusy(false);
    if (!changed) return;
    toast({ kind: "good", title: `${changed.title || changed.station} is changed` });
    onDone(changed);
  };
  return html`
    <form class="form fleet-edit" onSubmit=${submit} aria-label="Name and place of ${station.station}">
      <div class="fleet-edit__fields">
        ${FIELDS.map(
          ([name, label, limits]) =>
            html`<${Field}
              key=${name}
              id="fleet-${name}"
              name=${name}
              label=${label}
              limits=${limits}
              text=${texts[name]}
              onInput=${(text) => setTexts((before) => ({ ...before, [name]: text }))} />`,
        )}
      </div>
      ${half && html`<small class="wrong">both, or neither</small>`}
      <div class="row">
        <button class="button button--main" disabled=${busy || wrong}>Save</button>
        <button type="button" class="button" onClick=${() => onDone(null)}>Leave as it is</button>
      </div>
    </form>
  `;
}
