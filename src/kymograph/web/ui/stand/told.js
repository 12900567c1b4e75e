// What each valve was last told, as far as can be known: by the last command that was not refused, or by the
// last time that everything was made safe, whichever came later. And how that stands to what the device says.
import { computed } from "../html.js";
import { control } from "../station/control.js";
import { events } from "../station/state.js";
import { isValve, patternOrder, siblings } from "./orders.js";

const UNDER_WAY = ["accepted", "sent"];
const NOT_DONE = ["refused", "failed"];
const LATE_NS = 1.5e9;

/** Whether an event says that what moves was made safe: a stop, control that was lost, a trip that acted. */
function madeSafe({ source, kind, body }, status) {
  if (source !== "control") return false;
  const lock = kind === "alarm" && status.interlocks.find(({ name }) => name === body.interlock);
  return Boolean(body.stop) || body.control === "lost" || (lock && lock.kind === "trip");
}

function patternOf({ kind, body }, wanted) {
  if (kind !== "command" || body.command !== wanted.command || !body.state) return null;
  if (NOT_DONE.includes(body.state)) return null;
  return body.arguments?.[wanted.argument] ?? null;
}

/** The commands of the status in the shape of events, newest first; when they were is not told there. */
function commandsAsEvents(status) {
  const event = (body) => ({ id: body.id, kind: "command", body, time_ns: 0 });
  return (status.commands ?? []).map(event).reverse();
}

/** What the valves of one instrument were last told: `{ name: { value, state, at_ns } }`. */
function toldOf(instrument, valves, status) {
  const wanted = patternOrder(instrument, valves.length);
  const all = (valueOf, state, at) =>
    Object.fromEntries(valves.map((v, i) => [v.name, { value: valueOf(v, i), state, at_ns: at }]));
  const safe = (at) => all((v) => v.safe, "safe", at);
  if (status.stopped) return safe(status.stop.time_ns);
  if (!wanted) return {};
  const known = new Set(events.value.map(({ id }) => id));
  const rest = commandsAsEvents(status).filter(({ id }) => !known.has(id));
  for (const event of [...events.value, ...rest]) {
    if (madeSafe(event, status)) return safe(event.time_ns);
    const pattern = event.body.instrument === instrument ? patternOf(event, wanted) : null;
    if (pattern?.length === valves.length) return all((_, i) => pattern[i], event.body.state, event.time_ns);
  }
  return {};
}

/** How told and read-back stand to each other. */
function standing(value, told, nowNs) {
  if (value === null || value === undefined) return "unknown";
  if (!told || told.value === null || told.value === undefined || told.value === value) return "there";
  if (UNDER_WAY.includes(told.state) || nowNs - told.at_ns < LATE_NS) return "moving";
  return "unverified";
}

/**
 * Every two-state actuator with what it was told: the station's own plus `told` (a value, or undefined where
 * nobody can know) and `standing`: `there`, `moving`, `unverified`, or `unknown` if the device says nothing.
 */
export const valves = computed(() => {
  const status = control.value;
  if (!status) return [];
  const all = status.actuators.filter(isValve);
  const nowNs = Date.now() * 1e6;
  const told = {};
  for (const instrument of new Set(all.map((one) => one.instrument))) {
    told[instrument] = toldOf(instrument, siblings(status.actuators, instrument, true), status);
  }
  return all.map((one) => {
    const last = told[one.instrument][one.name];
    return { ...one, told: last?.value ?? one.value, standing: standing(one.value, last, nowNs) };
  });
});

/** The values that the valves of an instrument are told now, by name: where the next pattern begins. */
export function toldNow(instrument) {
  const own = valves.peek().filter((one) => one.instrument === instrument);
  return Object.fromEntries(own.map((one) => [one.name, one.told]));
}

/** Say a command that sets a pattern of valves as people do: which open. "" for any other command. */
export function patternText(instrument, command, given) {
  const own = siblings(control.value?.actuators ?? [], instrument, true);
  const pattern = patternOrder(instrument, own.length);
  const values = pattern?.command === command ? given?.[pattern.argument] : null;
  if (values?.length !== own.length) return "";
  const open = own.filter((_, i) => values[i]).map(({ name }) => name);
  return open.length ? `${open.join(", ")} ${wordFor(own[0], 1)}` : `all ${wordFor(own[0], 0)}`;
}

/** What a valve's value is called. */
export function wordFor({ labels }, value) {
  if (value === null || value === undefined) return "not known";
  return labels?.[value] ?? (value ? "on" : "off");
}

/** Whether a valve is where it does no harm; one that nobody knows of is not. */
export function isSafe({ safe, value, told }) {
  return safe === null || (value === safe && told === safe);
}
