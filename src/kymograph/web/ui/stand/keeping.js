// What is recorded on the stand: begin and end, a mark by one key, what lies in the past already, triggers.
import { html, signal, useEffect, useState } from "../html.js";
import { nameFromNow, stopwatch, timeOfDay } from "../format.js";
import { beginMark } from "../recording/marks.js";
import { KeepPast } from "../recording/past.js";
import { link } from "../shell/router.js";
import { Icon } from "../shell/icons.js";
import { api } from "../station/api.js";
import { controlApi } from "../station/control_api.js";
import { attempt, elapsedSince, events, recorders, tick } from "../station/state.js";

/** What begins a recording by itself; null where the station has no such thing. */
const triggers = signal(null);

async function askTriggers() {
  try {
    triggers.value = (await controlApi.triggers()).items;
  } catch {
    triggers.value = null;
  }
}

function useTriggers() {
  const [has, setHas] = useState(true);
  useEffect(() => {
    askTriggers().then(() => setHas(triggers.peek() !== null));
  }, []);
  useEffect(() => {
    if (has && triggers.peek()?.length) askTriggers();
  }, [events.value[0], Math.floor(tick.value / 2000)]);
}

function Running({ recorder }) {
  return html`
    <p class="keeping__now">
      <i class="dot dot--record" aria-hidden="true"></i>
      <a class="plain" href=${link("recordings", recorder.recording_id)}>${recorder.name}</a>
      <b>${stopwatch(elapsedSince(recorder.started_ns))}</b>
      ${recorder.rows_lost > 0 && html`<span class="badge badge--bad">${recorder.rows_lost} rows lost</span>`}
    </p>
  `;
}

function Buttons({ running }) {
  const [busy, setBusy] = useState(false);
  const doing = async (work) => {
    setBusy(true);
    await attempt(work());
    setBusy(false);
  };
  const stop = () => doing(() => Promise.all(running.map((one) => api.stopRecording(one.recording_id))));
  const start = () => doing(() => api.record({ name: nameFromNow() }));
  return html`
    <div class="row">
      ${
        running.length
          ? html`<button
            class="button"
            onClick=${beginMark}
            aria-keyshortcuts="m"><${Icon} name="flag" />Mark <kbd>M</kbd></button>
              <button
                class="button button--stop"
                disabled=${busy}
                onClick=${stop}><i class="stop-sign"></i>End recording</button>`
          : html`<button class="button" disabled=${busy} onClick=${start} data-test="record">
              <i class="dot dot--record" style="animation:none"></i>Record
            </button>`
      }
      <${KeepPast} />
    </div>
  `;
}

function Trigger({ trigger }) {
  const { name, when, state, last_ns: last } = trigger;
  const act = async (action) => {
    await attempt(controlApi.trigger(name, action));
    askTriggers();
  };
  const off = state === "off";
  return html`
    <li class="trigger" data-trigger=${name}>
      <span><b>${name}</b> <code>${when}</code></span>
      <span
        class="badge ${state === "recording" ? "badge--running" : ""}">
        ${state}${last ? `, last ${timeOfDay(last / 1e9)}` : ""}
      </span>
      <span class="row">
        <button
          class="button"
          onClick=${() => act(off ? "arm" : "disarm")}>${off ? "Switch on" : "Switch off"}</button>
        <button class="button" onClick=${() => act("fire")}>Fire</button>
      </span>
    </li>
  `;
}

export function Keeping() {
  useTriggers();
  const running = recorders.value;
  return html`
    <section class="panel keeping" aria-label="Recording">
      <div class="keeping__line">
        ${!running.length && html`<p class="quiet">Nothing is being recorded.</p>`}
        ${running.map((one) => html`<${Running} key=${one.recording_id} recorder=${one} />`)}
        <${Buttons} running=${running} />
      </div>
      ${
        triggers.value?.length > 0 &&
        html`<ul class="triggers" aria-label="Triggers">
          ${triggers.value.map((one) => html`<${Trigger} key=${one.name} trigger=${one} />`)}
        </ul>`
      }
    </section>
  `;
}
