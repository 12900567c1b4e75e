// Events in words: what a list, a log and a plot say of them.
import { count, duration } from "../format.js";
import { patternText } from "../stand/told.js";
import { isQuiet } from "./gaps.js";

const FINE = ["accepted", "sent", "acknowledged", "verified"];

function quietText({ from_ns: from, until_ns: until, reason }) {
  const lasting = from && until ? ` for ${duration((until - from) / 1e9)}` : "";
  return `nothing was sent${lasting} (${reason})`;
}

/** Say a gap: which stream, how many rows, why. */
function gapText(body) {
  if (isQuiet(body)) return `${body.stream ?? "a stream"}: ${quietText(body)}`;
  const known = body.rows ?? (body.to_seq > body.from_seq ? body.to_seq - body.from_seq : null);
  const rows = known === null ? "rows" : `${count(known)} rows`;
  return `${body.stream ?? "a stream"}: ${rows} missing${body.reason ? ` (${body.reason})` : ""}`;
}

/** Whether an event tells a step in the life of a command. */
export function isCommand({ kind, body }) {
  return kind === "command" && Boolean(body.command && body.state);
}

/** Whether an event tells where a run is. */
export function isRun({ source, body }) {
  return source.startsWith("run/") && Boolean(body.sequence);
}

/** Say what a command was to do. */
export function commandText({ instrument, command, arguments: given }) {
  const pattern = patternText(instrument, command, given);
  if (pattern) return pattern;
  const one = ([name, value]) => `${name.replaceAll("_", " ")} ${JSON.stringify(value)}`;
  const told = Object.entries(given ?? {}).map(one);
  return [`${instrument}: ${command.replaceAll("_", " ")}`, ...told].join(", ");
}

/** Say what a command was to do and, where it was not done, that. */
export function commandOutcome(body) {
  const told = FINE.includes(body.state) ? "" : ` (${body.state.replaceAll("_", " ")})`;
  return commandText(body) + told;
}

/** Say where a run is. */
export function runText({ sequence, state, reason, waits_for: waits, path }) {
  const where = (path ?? []).map(({ name }) => name).filter(Boolean);
  return [`run of ${sequence}: ${state}`, ...where, waits, reason].filter(Boolean).join(" · ");
}

function controlText(body) {
  if (body.stop) {
    return [`everything was stopped by ${body.stop.by}`, body.stop.reason].filter(Boolean).join(": ");
  }
  if (body.was && body.stop === null) return `the stop was reset by ${body.by}; nothing moved`;
  if (body.armed) return `${body.by} armed ${body.armed} for ${body.ttl_s} s`;
  if (body.control) return `control ${body.control}: ${body.holder ?? body.to ?? ""} ${body.why ?? ""}`.trim();
  if (body.interlock) return `interlock ${body.interlock}: ${body.state}. ${body.reason ?? ""}`.trim();
  return "";
}

/** Say an event in a line, whatever is in its body. */
export function eventText(event) {
  const { kind, body } = event;
  if (body.text) return body.text;
  if (isRun(event)) return runText(body);
  if (isCommand(event)) return `${commandText(body)}: ${body.state.replaceAll("_", " ")}`;
  if (kind === "gap") return gapText(body);
  if (kind === "clock" && body.new_offset_ns !== undefined) {
    const step = (body.new_offset_ns - (body.old_offset_ns ?? 0)) / 1e6;
    return `the clock was set ${step >= 0 ? "forward" : "back"} by ${Math.abs(step).toFixed(1)} ms`;
  }
  const control = controlText(body);
  if (control || body.message) return control || body.message;
  if (body.state) return [body.state, body.reason ?? body.error].filter(Boolean).join(": ");
  return Object.entries(body)
    .map(
      ([name, value]) =>
        `${name.replaceAll("_", " ")} ${typeof value === "object" ? JSON.stringify(value) : value}`,
    )
    .join(", ");
}
