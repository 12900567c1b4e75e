// Events as sentences, newest first or as they came.
import { html } from "../html.js";
import { timeOfDay, moment } from "../format.js";
import { eventText } from "./event_text.js";
import { eventTime } from "./gaps.js";

const KIND_WORDS = {
  mark: "mark",
  gap: "gap",
  clock: "clock",
  state: "state",
  alarm: "alarm",
  command: "command",
};

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
