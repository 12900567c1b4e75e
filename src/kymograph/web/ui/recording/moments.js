// What happened during a recording, as lines across its plots: marks, commands, alarms, and where runs were.
import { commandOutcome, eventText, isCommand, isRun } from "./event_text.js";
import { eventTime } from "./gaps.js";

const MOMENTS_MAX = 400;
const TEXT_MAX = 48;

function short(text) {
  return text.length <= TEXT_MAX ? text : `${text.slice(0, TEXT_MAX - 1)}…`;
}

const TURNS = { paused: "is paused", done: "is done", aborted: "is aborted", failed: "failed" };

/** Where a run is in its sequence: the name of the outermost group, if it is in one. */
function groupOf({ path }) {
  return path?.[0]?.name ?? "";
}

/** What a step of a run is called, after `before` of the same run; "" for one that is of no interest. */
function turnText(run, before) {
  const { sequence, state, reason } = run;
  if (state === before?.state) {
    const group = groupOf(run);
    return state === "running" && group && group !== groupOf(before) ? `${sequence}: ${group}` : "";
  }
  if (state === "running") return `${sequence} ${before ? "goes on" : "begins"}`;
  const said = TURNS[state] ? `${sequence} ${TURNS[state]}` : "";
  return said && reason ? `${said}: ${reason}` : said;
}

/** Of the steps of runs, those at which one began, came to another group, was paused, went on or ended. */
function turnsOf(events) {
  const before = new Map();
  const found = [];
  for (const event of events.filter(isRun)) {
    const text = turnText(event.body, before.get(event.source));
    before.set(event.source, event.body);
    if (text) found.push({ at: eventTime(event) / 1e9, kind: "run", text: short(text) });
  }
  return found;
}

function textOf(event) {
  return isCommand(event) ? commandOutcome(event.body) : eventText(event);
}

/** Marks, commands and alarms, each once: with the time of its first revision and the text of its last. */
function onesOf(events) {
  const shown = events.filter((event) => event.kind === "mark" || event.kind === "alarm" || isCommand(event));
  const first = new Map();
  const last = new Map();
  for (const event of shown) {
    if (!first.has(event.id)) first.set(event.id, event);
    last.set(event.id, event);
  }
  return [...first].map(([id, event]) => ({
    at: eventTime(event) / 1e9,
    kind: event.kind,
    text: short(textOf(last.get(id))),
  }));
}

/** `[{ at, kind, text }]` in the order of time; `events` as they were told. */
export function momentsOf(events) {
  const found = [...onesOf(events), ...turnsOf(events)].sort((a, b) => a.at - b.at);
  if (found.length <= MOMENTS_MAX) return found;
  return found.filter(({ kind }) => kind !== "command").slice(0, MOMENTS_MAX);
}
