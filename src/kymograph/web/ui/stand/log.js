// The event log: what happened, newest first; a command is one line for all of its life.
import { html, useState } from "../html.js";
import { timeOfDay } from "../format.js";
import { eventText } from "../recording/event_list.js";
import { events } from "../station/state.js";
import { patternText } from "./told.js";

const SHOWN = 60;
const LIFE = ["accepted", "sent", "acknowledged", "verified"];
const FILTERS = [
  ["all", "All"],
  ["command", "Commands"],
  ["alarm", "Alarms"],
  ["state", "States"],
  ["mark", "Marks"],
];

/** Say what a command was to do. */
function whatOf({ instrument, command, arguments: given }) {
  const pattern = patternText(instrument, command, given);
  if (pattern) return pattern;
  const one = ([name, value]) => `${name.replaceAll("_", " ")} ${JSON.stringify(value)}`;
  const told = Object.entries(given ?? {}).map(one);
  return [`${instrument}: ${command.replaceAll("_", " ")}`, ...told].join(", ");
}

function Life({ state }) {
  const at = LIFE.indexOf(state);
  if (at < 0) return html`<span class="life life--bad">${state.replaceAll("_", " ")}</span>`;
  return html`
    <span class="life ${state === "verified" ? "life--good" : ""}">
      ${LIFE.map((one, i) => html`<i
        key=${one}
        class=${i <= at ? "life__done" : ""}
        aria-hidden="true"></i>`)}
      ${state}
    </span>
  `;
}

function CommandLine({ body }) {
  return html`
    <span class="logline__text">
      <b>${body.by || "local"}</b> ${whatOf(body)}
      ${body.reason && html`<small>${body.reason}</small>`}
    </span>
    <${Life} state=${body.state} />
  `;
}

function runText({ sequence, state, reason, waits_for: waits, path }) {
  const where = (path ?? []).map(({ name }) => name).filter(Boolean);
  return [`run of ${sequence}: ${state}`, ...where, waits, reason].filter(Boolean).join(" · ");
}

function isRun({ source, body }) {
  return source.startsWith("run/") && Boolean(body.sequence);
}

function textOf(event) {
  const { body } = event;
  if (isRun(event)) return runText(body);
  if (body.stop) {
    return [`everything was stopped by ${body.stop.by}`, body.stop.reason].filter(Boolean).join(": ");
  }
  if (body.was && body.stop === null) return `the stop was reset by ${body.by}; nothing moved`;
  if (body.armed) return `${body.by} armed ${body.armed} for ${body.ttl_s} s`;
  if (body.control) return `control ${body.control}: ${body.holder ?? body.to ?? ""} ${body.why ?? ""}`;
  if (body.interlock) return `interlock ${body.interlock}: ${body.state}. ${body.reason ?? ""}`;
  return eventText(event);
}

function Line({ event }) {
  const isCommand = event.kind === "command" && event.body.command && event.body.state;
  return html`
    <li class="logline logline--${event.kind}" data-kind=${event.kind}>
      <time>${timeOfDay((event.first_ns ?? event.time_ns) / 1e9, 1)}</time>
      ${
        isCommand
          ? html`<${CommandLine} body=${event.body} />`
          : html`<span class="logline__text"
                >${textOf(event)}${!isRun(event) && html`<small>${event.source}</small>`}</span
              >
              <span class="logline__kind">${event.kind}</span>`
      }
    </li>
  `;
}

/** Of the many steps of a run, the newest: it is one line for all of its life, as a command is. */
function oneLineEach(list) {
  const runs = new Set();
  return list.filter((event) => {
    if (!isRun(event)) return true;
    const first = !runs.has(event.source);
    runs.add(event.source);
    return first;
  });
}

/** Whether an event fits the filter and the words. */
function fits(event, kind, words) {
  if (kind !== "all" && event.kind !== kind) return false;
  if (!words) return true;
  return JSON.stringify(event).toLowerCase().includes(words.toLowerCase());
}

export function Log() {
  const [kind, setKind] = useState("all");
  const [words, setWords] = useState("");
  const shown = oneLineEach(events.value).filter((event) => fits(event, kind, words)).slice(0, SHOWN);
  return html`
    <section class="panel log" aria-label="Event log">
      <div class="toolbar">
        <h2>What happens</h2>
        <input
          class="log__words"
          type="search"
          aria-label="Only lines with"
          placeholder="only lines with …"
          value=${words}
          onInput=${(event) => setWords(event.target.value)} />
      </div>
      <div class="chips" role="group" aria-label="Kinds of events">
        ${FILTERS.map(
          ([one, text]) =>
            html`<button
              key=${one}
              class="chip"
              aria-pressed=${kind === one}
              onClick=${() => setKind(one)}>${text}</button>`,
        )}
      </div>
      ${shown.length ? html`<ol class="loglines" data-test="log">${shown.map((event) => html`<${Line}
        key=${event.id}
        event=${event} />`)}</ol>` : html`<p class="quiet">Nothing of that kind so far.</p>`}
    </section>
  `;
}
