// The event log: what happened, newest first; a command is one line for all of its life.
import { html, useState } from "../html.js";
import { timeOfDay } from "../format.js";
import { commandText, eventText, isCommand, isRun } from "../recording/event_text.js";
import { events } from "../station/state.js";

const SHOWN = 60;
const LIFE = ["accepted", "sent", "acknowledged", "verified"];
const FILTERS = [
  ["all", "All"],
  ["command", "Commands"],
  ["alarm", "Alarms"],
  ["state", "States"],
  ["mark", "Marks"],
];

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
      <b>${body.by || "local"}</b> ${commandText(body)}
      ${body.reason && html`<small>${body.reason}</small>`}
    </span>
    <${Life} state=${body.state} />
  `;
}

function Line({ event }) {
  return html`
    <li class="logline logline--${event.kind}" data-kind=${event.kind}>
      <time>${timeOfDay((event.first_ns ?? event.time_ns) / 1e9, 1)}</time>
      ${
        isCommand(event)
          ? html`<${CommandLine} body=${event.body} />`
          : html`<span class="logline__text"
                >${eventText(event)}${!isRun(event) && html`<small>${event.source}</small>`}</span
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
