// Series of fields as the station reduces them: asked for again at every range.
import { useEffect, useState } from "../html.js";
import { toNs } from "../format.js";
import { get } from "../station/api.js";

const PATIENCE_MS = 120;
const STEPS_MISSING = 3;

/** The usual time between two points. */
function stepOf(t, widthS) {
  if (t.length < 3) return Infinity;
  const steps = t.slice(1).map((at, i) => at - t[i]);
  steps.sort((a, b) => a - b);
  return Math.max(widthS, steps[steps.length >> 1]);
}

/** Columns in seconds, with an empty point in each gap, so that no line is drawn across it. */
export function columnsOf({ time_ns: times, minimum, mean, maximum, n, width_s: widthS, mode }) {
  const all = times.map((ns) => ns / 1e9);
  const step = stepOf(all, widthS);
  const out = { mode, widthS, rows: n.reduce((sum, one) => sum + one, 0), t: [], low: [], mean: [], high: [] };
  const push = (t, low, middle, high) => {
    out.t.push(t);
    out.low.push(low);
    out.mean.push(middle);
    out.high.push(high);
  };
  all.forEach((t, i) => {
    if (i && t - all[i - 1] > step * STEPS_MISSING) push((t + all[i - 1]) / 2, null, null, null);
    push(t, minimum[i], mean[i], maximum[i]);
  });
  return out;
}

/**
 * Return `{ series, range, loading, problem }`: `series` is by field, of the `range` it was asked for. What was
 * there stays until what is asked for now has come. `version` asks again.
 */
export function useSeries({ station, fields, range, points, version }) {
  const [state, setState] = useState({ series: null, range: null, loading: true, problem: "" });
  useEffect(() => {
    if (!fields.length) return undefined;
    const stop = new AbortController();
    setState((before) => ({ ...before, loading: true }));
    const query = {
      station,
      fields: fields.join(","),
      max_points: points,
      start: toNs(range[0]),
      stop: toNs(range[1]),
    };
    const timer = setTimeout(async () => {
      try {
        const { series } = await get("readings", query, stop.signal);
        const columns = Object.fromEntries(
          Object.entries(series).map(([field, one]) => [field, columnsOf(one)]),
        );
        setState({ series: columns, range, loading: false, problem: "" });
      } catch (problem) {
        if (problem.name === "AbortError") return;
        setState((before) => ({ ...before, loading: false, problem: problem.message }));
      }
    }, PATIENCE_MS);
    return () => {
      clearTimeout(timer);
      stop.abort();
    };
  }, [station, fields.join(), range[0], range[1], points, version]);
  return state;
}
