// What the page knows of the station right now, as signals; filled by the live connection and by REST.
import { batch, signal } from "../html.js";
import { toast, toastProblem } from "../shell/toasts.js";
import { address, api } from "./api.js";
import { LiveClient } from "./live.js";
import { askSession, beginSession, endSession, needsKey } from "./session.js";

const STATION_REFRESH_S = 10;
const EVENTS_KEPT = 200;

export const station = signal(null);
export const instruments = signal(null);
export const streams = signal([]);
export const recorders = signal([]);
/** Formats of files, as `{ name, suffix, label }`. */
export const formats = signal([]);
export const events = signal([]);
export const connection = signal({ state: "connecting", since: Date.now() });
/** Station time minus this browser's, in seconds. */
export const clockOffset = signal(0);

/** Advances once a second, for ages and elapsed times. */
export const tick = signal(Date.now());
setInterval(() => (tick.value = Date.now()), 1000);

/** Station time now, in seconds since 1970. */
export function stationNow() {
  return Date.now() / 1000 + clockOffset.peek();
}

/** How long something runs that began then, in seconds; advances once a second. */
export function elapsedSince(beganNs) {
  return tick.value / 1000 + clockOffset.value - beganNs / 1e9;
}

/** What people call a format. */
export function formatLabel(name) {
  return formats.value.find((format) => format.name === name)?.label ?? name;
}

/** The streams that one instrument makes. */
export function streamsOf(instrument) {
  return streams.value.filter((stream) => stream.instrument === instrument);
}

/** Put what the station has just said of one instrument in place of what was known. */
export function noteInstrument(answer) {
  instruments.value = (instruments.peek() ?? []).map((one) =>
    one.name === answer.name ? { ...one, ...answer } : one,
  );
}

export let live = null;

/** Do something that may fail, and show the failure as a toast; returns undefined then. */
export async function attempt(promise) {
  try {
    return await promise;
  } catch (problem) {
    if (problem.name === "AbortError") return undefined;
    toastProblem(problem);
    return undefined;
  }
}

/** Ask for something whose failure the connection's state or the request for a key tells already. */
async function quietly(promise, use = () => undefined) {
  try {
    use(await promise);
  } catch {
    // Asked again soon.
  }
}

const items = (use) => (answer) => use(answer.items);

/** Ask who the station is; what changes every second comes with the status. */
async function refreshStation() {
  await quietly(api.station(), (answer) => (station.value = answer));
}

/** Ask for the streams again: how far back each is held grows. */
export function askStreams() {
  return quietly(
    api.streams(),
    items((list) => (streams.value = list)),
  );
}

/** Ask again for what rarely changes. */
export async function refreshAll() {
  await quietly(askSession());
  if (needsKey.peek()) return;
  await Promise.all([
    refreshStation(),
    quietly(
      api.instruments(),
      items((list) => (instruments.value = list)),
    ),
    askStreams(),
    quietly(
      api.formats(),
      items((list) => (formats.value = list)),
    ),
    quietly(
      api.events(),
      items((list) => (events.value = lastOfEach(list))),
    ),
  ]);
}

function setConnection(state) {
  if (connection.peek().state !== state) connection.value = { state, since: Date.now() };
}

function onWelcome(message) {
  clockOffset.value = message.now_ns / 1e9 - Date.now() / 1000;
  refreshAll();
}

function onStatus(message) {
  batch(() => {
    instruments.value = message.instruments;
    recorders.value = message.recorders;
    if (message.disk && station.peek()) station.value = { ...station.peek(), disk: message.disk };
  });
}

/** A later revision takes the place of the one before it: a command is one line for all of its life. */
function onEvent(message) {
  const { type, subscription, ...event } = message;
  const known = events.peek();
  const before = known.find((other) => other.id === event.id);
  if (!before) events.value = [event, ...known].slice(0, EVENTS_KEPT);
  else if ((before.revision ?? 0) <= (event.revision ?? 0))
    events.value = known.map((other) => (other === before ? { ...event, first_ns: firstOf(before) } : other));
}

/** When an event was first told of. */
function firstOf(event) {
  return event.first_ns ?? event.time_ns;
}

/** Of a list, newest first, that has every revision: the last of each event, where the first one was. */
function lastOfEach(list) {
  const last = new Map();
  for (const event of list) {
    const known = last.get(event.id);
    if (!known || (event.revision ?? 0) > (known.revision ?? 0)) last.set(event.id, event);
  }
  const first = new Map(list.map((event) => [event.id, event]));
  return list
    .filter((event) => first.get(event.id) === event)
    .map((event) => ({ ...last.get(event.id), first_ns: event.time_ns }));
}

function onProblem(message) {
  if (message.code === "key_needed") askSession();
  else toast({ kind: "bad", title: message.message, hint: message.hint });
}

/** Open the live connection and keep the signals fresh for the life of the page. */
export function start() {
  const url = address("live");
  url.protocol = url.protocol.replace("http", "ws");
  live = new LiveClient(url.href, {
    state: setConnection,
    welcome: onWelcome,
    status: onStatus,
    event: onEvent,
    problem: onProblem,
  });
  refreshAll();
  setInterval(() => needsKey.peek() || refreshStation(), STATION_REFRESH_S * 1000);
}

/** Show a key to the station, or forget the session (`key` empty), and go on as whoever we are then. */
export async function enter(key) {
  await (key ? beginSession(key) : endSession());
  live.restart();
  await refreshAll();
}
