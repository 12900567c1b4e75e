// All valves of the station: as two feed lines where they have the names of such a stand, else as a grid.
import { computed, html, signal } from "../html.js";
import { askControl, iHold, lease } from "../station/control.js";
import { ArmButton, ArmedList, wantsArming } from "./arming.js";
import { FeedLines } from "./feed_lines.js";
import { NAMES } from "./feed_plan.js";
import { patternOrder, setValve, siblings } from "./orders.js";
import { Refusal, refusals } from "./refusals.js";
import { toldNow, valves, wordFor } from "./told.js";
import { Valve } from "./valve.js";
import { control } from "../station/control.js";

const refused = refusals();
/** What was pressed and is not answered yet: `{ "stand.GOX1": 1 }`. */
const pressed = signal({});

const placeOf = (valve) => `${valve.instrument}.${valve.name}`;

function told(valve) {
  const pending = pressed.value[placeOf(valve)];
  return pending === undefined || valve.standing === "moving" || pending === valve.value
    ? valve
    : { ...valve, told: pending, standing: "moving" };
}

const shown = computed(() => valves.value.map(told));

/** The valves of each instrument that are a stand with two feed lines, and all others. */
const sorted = computed(() => {
  const lines = [];
  const others = [];
  for (const instrument of new Set(shown.value.map((one) => one.instrument))) {
    const own = shown.value.filter((one) => one.instrument === instrument);
    const whole = own.length === NAMES.length && NAMES.every((name) => own.some((one) => one.name === name));
    if (whole) lines.push(own);
    else others.push(...own);
  }
  return { lines, others };
});

async function tell(valve, value) {
  const place = placeOf(valve);
  refused.clear();
  pressed.value = { ...pressed.peek(), [place]: value };
  try {
    await setValve(valve, value, { ...toldNow(valve.instrument), ...pendingOf(valve.instrument) });
  } catch (problem) {
    const what = `${valve.name} was not told “${wordFor(valve, value)}”:`;
    refused.say(what, Object.assign(problem, { valve }));
  }
  const { [place]: done, ...rest } = pressed.peek();
  pressed.value = rest;
  askControl();
}

/** What was pressed a moment ago counts for the next pattern too. */
function pendingOf(instrument) {
  const entries = Object.entries(pressed.peek()).map(([place, value]) => [place.split("."), value]);
  const own = entries.filter(([[owner]]) => owner === instrument);
  return Object.fromEntries(own.map(([[, name], value]) => [name, value]));
}

function press(valve) {
  tell(valve, valve.told > 0 ? 0 : 1);
}

/** What an arming of a valve is for. */
function executeOf(target) {
  const valve = valves.value.find((one) => placeOf(one) === target);
  if (!valve) return null;
  const value = valve.told > 0 ? 0 : 1;
  return { word: `${valve.name} ${wordFor(valve, value)}`, act: () => tell(valve, value) };
}

function Legend() {
  return html`
    <p class="legend footnote">
      <span><i class="legend__fill"></i>filled: open, as the device says</span>
      <span><i class="legend__ring"></i>ring: told something else</span>
      <span><i class="legend__safe"></i>shield: safe state</span>
      <span>${hint()}</span>
    </p>
  `;
}

function hint() {
  if (iHold.value) return "Press a valve to move it.";
  return lease.value ? `Only ${lease.value.holder} can move anything.` : "Take control to move anything.";
}

export function Schematic() {
  const { lines, others } = sorted.value;
  if (!shown.value.length) return null;
  const last = refused.last.value?.problem;
  const mark = last?.valve?.name;
  const without = others.filter((one) => !canTell(one));
  return html`
    <section class="panel schematic" aria-label="Valves">
      ${lines.map((own) => html`<${FeedLines}
        key=${own[0].instrument}
        valves=${own}
        refused=${mark}
        onPress=${press} />`)}
      ${others.length > 0 && html`<div class="valvegrid">
        ${others.map(
          (valve) =>
            html`<${Valve}
              key=${placeOf(valve)}
              valve=${valve}
              refused=${mark === valve.name}
              onPress=${() => press(valve)} />`,
        )}
      </div>`}
      <${Refusal} of=${refused}>
        ${last?.valve && wantsArming(last) && html`<${ArmButton}
          target=${placeOf(last.valve)}
          onArmed=${refused.clear} />`}
      <//>
      <${ArmedList} executeOf=${executeOf} />
      ${
        without.length > 0 &&
        html`<p class="quiet">
          ${without.map(({ name }) => name).join(", ")} can only be told by a command of the instrument.
        </p>`
      }
      <${Legend} />
    </section>
  `;
}

function canTell({ instrument }) {
  const count = siblings(control.value?.actuators ?? [], instrument, true).length;
  return patternOrder(instrument, count) !== null;
}
