// Rows of a recording as the station reduces them for a plot: asked again at every zoom.
import { useEffect, useState } from "../html.js";
import { toNs } from "../format.js";
import { api } from "../station/api.js";

const POINTS = 1600;
const PATIENCE_MS = 120;

/** Turn an answer into times and, for each channel, its lowest and highest values. */
function unpack({ time_ns: times, columns, mode, rows }, names) {
  const bound = (name, which) => {
    const column = columns[name] ?? [];
    return Array.isArray(column) ? column : column[which];
  };
  return {
    mode,
    rows,
    t: times.map((ns) => ns / 1e9),
    low: names.map((name) => bound(name, "min")),
    high: names.map((name) => bound(name, "max")),
  };
}

/**
 * Return `{ data, loading, extent, problem }` for a stream of a recording; `range` is `[start, stop]` in
 * seconds or null for all. What was there stays until the new part has come. `extent` is the range of the
 * whole.
 */
export function useReduced(id, stream, names, range, version) {
  const [state, setState] = useState({ data: null, of: "", loading: true, extent: null, problem: "" });
  const identity = [stream, names.join()].join();
  useEffect(() => {
    const stop = new AbortController();
    setState((before) => ({ ...before, loading: true }));
    const query = { stream, channels: names.join(","), max_points: POINTS };
    if (range) Object.assign(query, { start: toNs(range[0]), stop: toNs(range[1]) });
    const timer = setTimeout(
      async () => {
        try {
          const data = unpack(await api.recordingData(id, query, stop.signal), names);
          setState((before) => ({
            data,
            of: identity,
            loading: false,
            problem: "",
            extent: range ? before.extent : extentOf(data),
          }));
        } catch (problem) {
          if (problem.name === "AbortError") return;
          setState((before) => ({ ...before, loading: false, problem: problem.message }));
        }
      },
      range ? PATIENCE_MS : 0,
    );
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [id, identity, range?.[0], range?.[1], version]);
  return state.of === identity ? state : { ...state, data: null }; // of other channels: not what is drawn now
}

function extentOf({ t }) {
  if (!t.length) return null;
  const [first, last] = [t[0], t[t.length - 1]];
  return [first, Math.max(last, first + 1e-3)];
}
