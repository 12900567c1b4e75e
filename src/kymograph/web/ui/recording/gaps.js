// Where rows of a recording are missing, and where none were made, as its events tell it.

const QUIET = new Set(["device silent", "paused", "stopped", "epoch"]);

/** Whether a gap is a silence: no row was made, so none is missing. */
export function isQuiet({ reason }) {
  return QUIET.has(reason);
}

/** When it happened (ns): a mark that was written later says the moment it is about. */
export function eventTime({ time_ns: ns, body }) {
  return body.time_ns ?? ns;
}

/** Sort events into what the axis shows: gaps with beginning and end (s), and marks; `place` is one more. */
export function notesOf(events, stream, place) {
  const gaps = [];
  const marks = place === null ? [] : [{ at: place, kind: "place" }];
  for (const event of events) {
    const { kind, time_ns: ns, body } = event;
    const at = eventTime(event) / 1e9;
    const own = !body.stream || body.stream === stream;
    if (kind === "gap" && own) {
      gaps.push({ from: (body.from_ns ?? ns) / 1e9, to: (body.until_ns ?? ns) / 1e9, quiet: isQuiet(body) });
    } else if (kind === "mark") marks.push({ at, kind });
  }
  return { gaps, marks };
}
