// The lanes of one stream, one below the other: which channels, how they share axes, and their plots.
import { html, useMemo, useRef, useState } from "../html.js";
import { shade } from "../shell/theme.js";
import { Choice } from "./choice.js";
import { ChannelChips, coloured, Lane, lanesOf } from "./lanes.js";

const SHARING = [
  [true, "by unit"],
  [false, "one each"],
];

/**
 * Keep what is shown of a stream, `first` to begin with. `names` are the channels shown, in the stream's
 * order; `plots` refers to a set of `{ plot, at }`, `at` being the places of a plot's channels in `names`.
 */
export function useLanes(stream, first) {
  const channels = useMemo(() => coloured(stream.channels), [stream, shade.value]);
  const [shown, setShown] = useState(first);
  const [together, setTogether] = useState(true);
  const plots = useRef(new Set());
  const visible = channels.filter(({ name }) => shown.includes(name));
  const names = visible.map(({ name }) => name);
  const lanes = lanesOf(visible, together);
  return { channels, shown, setShown, together, setTogether, plots, names, lanes };
}

/** Buttons for the channels, to the left of a toolbar; nothing where there is no choice. */
export function LaneChips({ of: { channels, shown, setShown } }) {
  if (channels.length < 2) return null;
  return html`<${ChannelChips} channels=${channels} shown=${shown} onChange=${setShown} />`;
}

/** The choice of how channels share axes; nothing where there is no choice. */
export function LaneSharing({ of: { channels, together, setTogether } }) {
  if (channels.length < 2) return null;
  return html`<${Choice} label="Axes" value=${together} onChange=${setTogether} options=${SHARING} />`;
}

function heightOf(lanes, [alone, few, many]) {
  if (lanes.length === 1) return alone;
  return lanes.length <= 3 ? few : many;
}

/** The plots themselves. `heights` are those of one lane, of few and of many; `handlers` go to each plot. */
export function LaneStack({ of: { lanes, names, plots }, heights, values, sync, handlers }) {
  const onPlot = (plot, drawn) => {
    const entry = { plot, at: drawn.map(({ name }) => names.indexOf(name)) };
    plots.current.add(entry);
    return () => plots.current.delete(entry);
  };
  return lanes.map(
    (lane, i) => html`
      <${Lane}
        key=${[...lane.map(({ name }) => name), "of", ...names].join()}
        channels=${lane}
        height=${heightOf(lanes, heights)}
        values=${values}
        onPlot=${onPlot}
        sync=${sync}
        timeAxis=${i === lanes.length - 1}
        ...${handlers} />
    `,
  );
}
