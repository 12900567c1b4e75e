// A bar as long as the recording: where rows are held, where they are missing, where nothing was sent.
import { html } from "../html.js";
import { duration, timeOfDay } from "../format.js";
import { isQuiet } from "./gaps.js";

const SPANS_MAX = 600;
const WIDTH = 1000;
const MARK_MAX = 4; // of WIDTH: a single missing row can be seen
const MARK_MIN = 0.7; // where there are so many that they would fill the bar
const MARKS_ROOM = 200;
const KINDS = [
  ["verified", "verified"],
  ["held", "held"],
  ["missing", "missing"],
  ["silence", "nothing was sent"],
];
/** Rows of the sealed files of a stream as runs of numbers with a beginning and an end in time. */
export function runsOf(segments) {
  const found = [];
  for (const { rows, runs = [], first_ns: first, last_ns: last } of segments) {
    const at = (row) => first + ((last - first) * row) / Math.max(1, rows - 1);
    runs.forEach(([row, epoch, seq], i) => {
      const end = i + 1 < runs.length ? runs[i + 1][0] : rows;
      found.push({ epoch, from: seq, to: seq + end - row, begin: at(row), end: at(end - 1) });
    });
  }
  return found;
}

/** When missing rows would have been (ns): as the ledger says, or between the known runs around them. */
export function placeOf({ epoch, from_seq: from, to_seq: to, from_ns: begin, until_ns: end }, known) {
  if (begin && end) return [begin, end];
  const runs = known.filter((run) => run.epoch === epoch);
  const before = runs.findLast((run) => run.to <= from)?.end;
  const after = runs.find((run) => run.from >= (to ?? from))?.begin;
  const [first, last] = [begin ?? before ?? after, end ?? after ?? before];
  return first && last ? [Math.min(first, last), Math.max(first, last)] : null;
}

/** Merge spans of one kind that touch at this scale. */
function merged(spans, reach) {
  const result = [];
  for (const [from, to] of [...spans].sort((a, b) => a[0] - b[0])) {
    const last = result[result.length - 1];
    if (last && from - last[1] <= reach) last[1] = Math.max(last[1], to);
    else result.push([from, to]);
  }
  return result;
}

/** Whether the rows of a segment go on in the next one without any missing between. */
function follows({ rows, runs = [] }, next) {
  const [row, epoch, seq] = runs.at(-1) ?? [];
  const [, nextEpoch, nextSeq] = next?.runs?.[0] ?? [];
  return next !== undefined && epoch === nextEpoch && seq + rows - row === nextSeq;
}

function spansOf({ ledger, stream, segments, runs, begin, end }) {
  const states = new Map(ledger.files.map(({ filename, state }) => [filename, state]));
  const spans = { verified: [], held: [], missing: [], silence: [] };
  segments.forEach(({ filename, first_ns: first, last_ns: last, ...segment }, i) => {
    const state = states.get(filename) ?? "held";
    const until = follows(segment, segments[i + 1]) ? segments[i + 1].first_ns : last;
    if (state === "verified" || state === "held") spans[state].push([first, until]);
  });
  if (stream.tail_rows) spans.held.push([segments.at(-1)?.last_ns ?? begin, end]);
  for (const one of stream.missing) {
    const place = placeOf(one, runs);
    if (place) spans[isQuiet(one) ? "silence" : "missing"].push(place);
  }
  return spans;
}

function sentence(spans, whole) {
  const part = (kind) => spans[kind].reduce((sum, [from, to]) => sum + (to - from) / 1e9, 0);
  const words = KINDS.filter(([kind]) => spans[kind].length).map(
    ([kind, word]) => `${word} ${duration(part(kind))}`,
  );
  return `${duration(whole / 1e9)}: ${words.join(", ") || "nothing"}`;
}

/** `segments` are those of the stream, in order, `runs` theirs; the bar goes from `begin` to `end` (ns). */
export function TimeLine({ ledger, stream, segments, runs, begin, end }) {
  const whole = Math.max(1, end - begin);
  const spans = spansOf({ ledger, stream, segments, runs, begin, end });
  const x = (ns) => Math.min(WIDTH, Math.max(0, ((ns - begin) / whole) * WIDTH));
  const drawn = KINDS.flatMap(([kind]) =>
    merged(spans[kind], whole / SPANS_MAX).map(([from, to]) => ({ kind, from: x(from), to: x(to) })),
  );
  const shown = KINDS.filter(([kind]) => spans[kind].length);
  const mark = Math.max(MARK_MIN, Math.min(MARK_MAX, MARKS_ROOM / drawn.length));
  return html`
    <figure class="line">
      <svg
        class="line__bar"
        viewBox="0 0 ${WIDTH} 20"
        preserveAspectRatio="none"
        role="img"
        aria-label="${stream.stream}, ${sentence(spans, whole)}">
        ${drawn.map(({ kind, from, to }) => {
          const width = Math.max(mark, to - from);
          return html`<rect
            class="line__${kind}"
            x=${Math.min(from, WIDTH - width)}
            width=${width}
            y="0"
            height="20" />`;
        })}
      </svg>
      <figcaption class="line__words">
        <time>${timeOfDay(begin / 1e9)}</time>
        <span class="line__key">
          ${shown.map(
            ([kind, word]) =>
              html`<span key=${kind}><i class="line__swatch line__swatch--${kind}"></i>${word}</span>`,
          )}
        </span>
        <time>${timeOfDay(end / 1e9)}</time>
      </figcaption>
    </figure>
  `;
}
