// Fills a trace with what the station still holds of a stream, and then with what comes live.
import { api } from "../station/api.js";
import { live } from "../station/state.js";

/**
 * Keep a trace filled from the stream of that name; `points` is how much history is asked for, `rateHz` how
 * often live rows come. `onDropped(rows)` is told what was lost on the way here. Returns what ends it.
 *
 * What comes live waits until the history is there, because a trace only grows towards now.
 */
export function keepFilled(trace, streamName, { points, rateHz, onDropped }) {
  const stop = new AbortController();
  const waiting = [];
  let filled = false;
  const query = { channels: trace.names.join(","), seconds: trace.windowS, max_points: points };
  api
    .streamData(streamName, query, stop.signal)
    .then(({ time_ns: times, columns }) => trace.add(times.map((ns) => ns / 1e9), columns))
    .catch(() => undefined) // an empty ring: the live rows alone will do
    .finally(() => {
      filled = true;
      waiting.forEach(({ t, columns }) => trace.add(t, columns));
    });
  const request = { streams: [streamName], channels: trace.names, mode: "minmax", max_rate_hz: rateHz };
  const leave = live.subscribe(
    { ...request, resume: true },
    {
      data(message) {
        if (filled) trace.add(message.t, message.columns);
        else waiting.push(message);
        if (message.dropped) onDropped?.(message.dropped);
      },
      gap: () => trace.cut(),
    },
  );
  return () => {
    stop.abort();
    leave();
  };
}
