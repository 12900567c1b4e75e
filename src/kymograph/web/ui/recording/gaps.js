// Where rows of a recording are missing: as events tell it, and as the row numbers of the sealed files do.

/** Sum up the runs of the segments of each stream: every jump of a row number is rows that are not there. */
export function missingRows(segments) {
  const missing = [];
  for (const [stream, own] of byStream(segments)) {
    let next = null;
    for (const { rows, runs, first_ns: first } of [...own].sort((a, b) => a.index - b.index)) {
      runs.forEach(([row, epoch, seq], i) => {
        if (next && next.epoch === epoch && seq > next.seq) {
          missing.push({ stream, from: next.seq, to: seq, rows: seq - next.seq, at: first / 1e9 });
        }
        const end = i + 1 < runs.length ? runs[i + 1][0] : rows;
        next = { epoch, seq: seq + end - row };
      });
    }
  }
  return missing;
}

function byStream(segments) {
  const map = new Map();
  for (const segment of segments) map.set(segment.stream, [...(map.get(segment.stream) ?? []), segment]);
  return map;
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
    if (kind === "gap" && own)
      gaps.push({ from: (body.from_ns ?? ns) / 1e9, to: (body.until_ns ?? ns) / 1e9 });
    else if (kind === "mark") marks.push({ at, kind });
  }
  return { gaps, marks };
}
