// The newest values of every stream of the instruments that move, and what a strip of them looked like: one
// subscription for gauges, drawing and charts.
import { signal, useEffect, useMemo } from "../html.js";
import { keepFilled } from "../plot/filling.js";
import { Trace } from "../plot/trace.js";

const READ_MS = 100;
const POINTS = 240;
const LIVE_HZ_MAX = 30;

/** The newest value of each channel of the stand's streams, by name; of two of one name, the first. */
export const newest = signal({});

/** What a trace ends with: the middle of its last point. */
function lastOf(trace) {
  const at = trace.t.length - 1;
  const middle = (i) => {
    const [low, high] = [trace.low[i][at], trace.high[i][at]];
    return low === null || low === undefined ? null : (low + high) / 2;
  };
  return at < 0 ? {} : Object.fromEntries(trace.names.map((name, i) => [name, middle(i)]));
}

/** Traces of these streams, filled as long as the component lives: `[{ stream, trace }]`. */
export function useReadings(streams, windowS) {
  const key = streams.map(({ name }) => name).join();
  const read = useMemo(
    () =>
      streams.map((stream) => ({
        stream,
        trace: new Trace(stream.channels.map(({ name }) => name), windowS, POINTS),
      })),
    [key, windowS],
  );
  useEffect(() => {
    const rateHz = Math.min(LIVE_HZ_MAX, Math.max(4, (POINTS / windowS) * 1.5));
    const leave = read.map(({ stream, trace }) => keepFilled(trace, stream.name, { points: POINTS, rateHz }));
    const timer = setInterval(() => {
      newest.value = Object.assign({}, ...read.map(({ trace }) => lastOf(trace)).reverse());
    }, READ_MS);
    return () => {
      clearInterval(timer);
      leave.forEach((end) => end());
    };
  }, [read]);
  return read;
}
