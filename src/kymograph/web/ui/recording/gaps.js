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

/** Where rows are missing or none were made, in seconds, of one stream. */
export function gapsOf(events, stream) {
  const own = events.filter(({ kind, body }) => kind === "gap" && (!body.stream || body.stream === stream));
  return own.map(({ time_ns: ns, body }) => ({
    from: (body.from_ns ?? ns) / 1e9,
    to: (body.until_ns ?? ns) / 1e9,
    quiet: isQuiet(body),
  }));
}
