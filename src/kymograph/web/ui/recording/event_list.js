// Events as sentences, newest first or as they came.
import { html } from "../html.js";
import { count, duration, timeOfDay, moment } from "../format.js";
import { eventTime, isQuiet } from "./gaps.js";

const KIND_WORDS = {
  mark: "mark",
  gap: "gap",
  clock: "clock",
  state: "state",
  alarm: "alarm",
  command: "command",
};

function quietText({ from_ns: from, until_ns: until, reason }) {
  const lasting = from && until ? ` for ${duration((until - from) / 1e9)}` : "";
  return `nothing was sent${lasting} (${reason})`;
}

/** Say a gap: which stream, how many rows, why. */
export function gapText(body) {
  if (isQuiet(body)) return `${body.stream ?? "a stream"}: ${quietText(body)}`;
  const known = body.rows ?? (body.to_seq > body.from_seq ? body.to_seq - body.from_seq : null);
  const rows = known === null ? "rows" : `${count(known)} rows`;
  return `${body.stream ?? "a stream"}: ${rows} missing${body.reason ? ` (${body.reason})` : ""}`;
}

/** Say an event in a line, whatever is in its body. */
export function eventText({ kind, body }) {
  if (body.text) return body.text;
  if (kind === "gap") return gapText(body);
  if (kind === "clock" && body.new_offset_ns !== undefined) {
    const step = (body.new_offset_ns - (body.old_offset_ns ?? 0)) / 1e6;
    return `the clock was set ${step >= 0 ? "forward" : "back"} by ${Math.abs(step).toFixed(1)} ms`;
  }
  if (body.message) return body.message;
  if (body.state) return [body.state, body.reason ?? body.error].filter(Boolean).join(": ");
  return Object.entries(body)
    .map(
      ([name, value]) =>
        `${name.replaceAll("_", " ")} ${typeof value === "object" ? JSON.stringify(value) : value}`,
    )
    .join(", ");
}

export function EventList({ events, empty, withDay = false, onPick }) {
  if (!events.length) return html`<p class="quiet">${empty}</p>`;
  return html`
    <ol class="events">
      ${events.map(
        (event) => html`
          <li key=${event.id} class="event event--${event.kind}">
            <time>${withDay ? moment(eventTime(event)) : timeOfDay(eventTime(event) / 1e9)}</time>
            <span class="event__kind">${KIND_WORDS[event.kind] ?? event.kind}</span>
            <span class="event__text"
              >${
                onPick
                  ? html`<button class="plain" onClick=${() => onPick(event)}>${eventText(event)}</button>`
                  : eventText(event)
              }<small>${event.source}</small></span
            >
          </li>
        `,
      )}
    </ol>
  `;
}
