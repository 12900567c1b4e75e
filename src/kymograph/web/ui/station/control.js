// What the page knows of control: who holds it, what is stopped, interlocks, actuators. Asked for every
// second or so and after each event of its kind, as long as the station has anything that moves.
import { batch, computed, effect, signal } from "../html.js";
import { controlApi } from "./control_api.js";
import { person } from "./person.js";
import { connection, events } from "./state.js";

const SLOT = "kymograph.moves";
const SLOW_MS = 2000;
const FAST_MS = 500;
const SOON_MS = 60;
const PATIENCE_MS = 4000;
const LEASE_S = 30;
const RENEW_MS = 8000;
const TOLD_BY = ["command", "alarm", "state"];

/** What `GET /v1/control` answered last, or null. */
export const control = signal(null);
/** When that was (ms, this browser's clock), and whether the last question was answered. */
export const controlAt = signal({ ms: 0, fine: true });
/** Whether this page renews the lease of its person. */
export const keeping = signal(false);

const remembered = signal(readSlot());

/** Whether the station has anything that moves; what was known last time counts until it has said so. */
export const moves = computed(() => (control.value ? control.value.actuators.length > 0 : remembered.value));
export const lease = computed(() => control.value?.lease ?? null);
export const iHold = computed(() => lease.value !== null && lease.value.holder === person.value);

function readSlot() {
  try {
    return localStorage.getItem(SLOT) === "yes";
  } catch {
    return false;
  }
}

function remember(yes) {
  remembered.value = yes;
  try {
    localStorage.setItem(SLOT, yes ? "yes" : "no");
  } catch {
    // Known for the life of this page then.
  }
}

/** Take an answer of the station for what is so now. */
export function noteControl(answer) {
  batch(() => {
    control.value = answer;
    controlAt.value = { ms: Date.now(), fine: true };
  });
  if (remembered.peek() !== answer.actuators.length > 0) remember(answer.actuators.length > 0);
}

let asking = null;
let timer = 0;
let watchers = 0;

/** Give up a question that is under way: its answer would be of before, and something else is more urgent. */
export function makeWay() {
  asking?.abort();
  asking = null;
}

async function ask() {
  const mine = new AbortController();
  asking = mine;
  const late = setTimeout(() => mine.abort(), PATIENCE_MS);
  try {
    const answer = await controlApi.status(mine.signal);
    if (asking === mine) noteControl(answer);
  } catch {
    if (asking === mine) controlAt.value = { ...controlAt.peek(), fine: false };
  }
  clearTimeout(late);
  return asking === mine;
}

/** Ask now. An answer to an earlier question that has not come by then is not looked at. */
export async function askControl() {
  makeWay();
  clearTimeout(timer);
  if (!(await ask())) return;
  asking = null;
  if (moves.peek()) timer = setTimeout(askControl, watchers > 0 ? FAST_MS : SLOW_MS);
}

function askSoon() {
  if (asking) return; // what is asked already answers soon, and again after that
  clearTimeout(timer);
  timer = setTimeout(askControl, SOON_MS);
}

/** Ask more often while somebody looks; returns what ends it. */
export function watchControl() {
  watchers += 1;
  askSoon();
  return () => (watchers -= 1);
}

/** Under which lease an order is given. Never under none: who does not hold control shall not take it so. */
export function order() {
  return { by: person.peek(), fence: iHold.peek() ? lease.peek().fence : 0 };
}

/** Take control, or keep it for longer, and renew it from now on. */
export async function takeControl() {
  const taken = await controlApi.take(person.peek(), LEASE_S);
  makeWay();
  if (control.peek()) noteControl({ ...control.peek(), lease: taken });
  keeping.value = true;
  await askControl();
}

async function renew() {
  if (!keeping.peek() || !iHold.peek()) return;
  try {
    await controlApi.take(person.peek(), LEASE_S);
  } catch {
    // The bar runs out, and says so.
  }
}

function onHolder() {
  if (!keeping.value || !control.value) return;
  if (!iHold.value) keeping.value = false; // it was lost or given away: not to be taken again unasked
}

/** Follow control for the life of the page. */
export function followControl() {
  effect(() => connection.value.state === "live" && askSoon());
  effect(() => TOLD_BY.includes(events.value[0]?.kind) && askSoon());
  effect(() => onHolder());
  setInterval(renew, RENEW_MS);
}
