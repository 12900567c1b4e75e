// How it stands with a station: in a word, a sign, a colour and a shape, so that no one of them is needed.
import { html } from "../html.js";
import { count, duration } from "../format.js";
import { Icon } from "../shell/icons.js";

/** The worst first. `shape` is the point on the map, `-8 … 8` around its place. */
export const STATES = {
  silent: { words: "silent", icon: "alert", shape: "M0-9L9 7H-9z", hint: "nothing for long" },
  late: { words: "late", icon: "clock", shape: "M0-8.5L8.5 0L0 8.5L-8.5 0z", hint: "a reading is due" },
  never: { words: "never heard", icon: "ring", shape: "M-6.5-6.5h13v13h-13z", hint: "no reading yet" },
  ok: {
    words: "ok",
    icon: "check",
    shape: "M-7.5 0a7.5 7.5 0 1 0 15 0a7.5 7.5 0 1 0-15 0",
    hint: "on time",
  },
};
export const ORDER = Object.keys(STATES);

export function State({ state }) {
  const { words, icon } = STATES[state] ?? { words: state, icon: "ring" };
  return html`<span class="badge fleet-state fleet-state--${state}" data-state=${state}
    ><${Icon} name=${icon} />${words}</span
  >`;
}

/** What people call a station. */
export function nameOf({ title, station }) {
  return title || station;
}

/** Age of a moment in words; `now` in seconds since 1970. */
export function ageText(ns, now) {
  if (!ns) return "–";
  const age = now - ns / 1e9;
  if (age < -60) return `${duration(-age)} ahead`; // its clock, or ours, is wrong
  return age < 1 ? "now" : `${duration(Math.floor(age))} ago`;
}

/** The rows of all streams that a station owes, and since when. */
export function owedOf({ owed }) {
  const due = Object.entries(owed).filter(([, { rows }]) => rows > 0);
  const since = due.map(([, one]) => one.since_ns).filter(Boolean);
  return {
    streams: due.map(([stream, { rows }]) => [stream, rows]),
    rows: due.reduce((sum, [, { rows }]) => sum + rows, 0),
    since: since.length ? Math.min(...since) : null,
  };
}

/** Batches of a station that were put aside. */
export function rejectsOf({ rejects }) {
  return Object.values(rejects ?? {}).reduce((sum, one) => sum + one, 0);
}

/** Write so many rows of a stream: `1 segment`, `12 readings`. */
export function rowsText([stream, rows]) {
  return `${count(rows)} ${rows === 1 ? stream.replace(/s$/, "") : stream}`;
}

/** Which rows a station owes, in words. */
export function Owed({ station, now }) {
  const { streams, since } = owedOf(station);
  if (!streams.length) return html`<span class="quiet">nothing</span>`;
  return html`${streams.map(rowsText).join(", ")}${
    since && html`<small>since ${ageText(since, now)}</small>`
  }`;
}

/** Held of expected, and in words what is missing. */
export function Held({ ledger: { expected, held, missing } }) {
  if (!expected) return html`<span class="quiet">–</span>`;
  return html`${count(held)} of ${count(expected)}<small class=${missing ? "fleet-missing" : ""}
      >${missing ? `${count(missing)} missing` : "nothing missing"}</small
    >`;
}
