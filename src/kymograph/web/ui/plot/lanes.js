// How channels share axes: the same unit together, or each in a lane of its own; and one such lane.
import { html, signal, useEffect, useMemo, useRef } from "../html.js";
import { number, unitSign, valueText } from "../format.js";
import { shade, traceColours } from "../shell/theme.js";
import { BandPlot } from "./band_plot.js";

/** Give every channel of a stream its colour, by its place in the stream. */
export function coloured(channels) {
  const colours = traceColours();
  return channels.map((channel, i) => ({ ...channel, color: colours[i % colours.length] }));
}

/** Sort channels into lanes. */
export function lanesOf(channels, together) {
  if (!together) return channels.map((channel) => [channel]);
  const byUnit = new Map();
  for (const channel of channels) {
    const key = channel.unit || `alone: ${channel.name}`; // numbers without a unit have nothing in common
    byUnit.set(key, [...(byUnit.get(key) ?? []), channel]);
  }
  return [...byUnit.values()];
}

function Value({ values, name, unit }) {
  const text = values.value[name];
  return html`<span class="key__value"
    ><b>${typeof text === "string" ? text : number(text)}</b> ${unitSign(unit)}</span
  >`;
}

/** Write a minimum and a maximum as one value, or as a span where they differ visibly. */
export function spanText(low, high, channel) {
  if (low === null || low === undefined) return "–";
  const [a, b] = channel?.labels?.length
    ? [valueText(channel, low), valueText(channel, high)]
    : [number(low), number(high)];
  return a === b ? a : `${a} … ${b}`;
}

/**
 * One set of axes under its key. `values` is a signal of `{ channel: number | text }`; `onPlot(plot)` is
 * called with the `BandPlot` when there is one, and returns what to do before it goes.
 */
export function Lane({ channels, height, values, onPlot, ...options }) {
  const host = useRef(null);
  const identity = channels.map((channel) => channel.name).join() + shade.value;
  useEffect(() => {
    const plot = new BandPlot(host.current, { channels, height, ...options });
    const leave = onPlot(plot, channels);
    return () => {
      leave?.();
      plot.destroy();
    };
  }, [identity, options.timeAxis, options.sync]);
  const named = channels.map(({ name, unit }) => (unit ? `${name} in ${unitSign(unit)}` : name));
  return html`
    <div class="lane">
      <div class="lane__keys">
        ${channels.map(
          ({ name, unit, color, description }) => html`
            <span class="key" key=${name} title=${description || name}>
              <i class="swatch" style=${{ background: color }}></i>${name}
              <${Value} values=${values} name=${name} unit=${unit} />
            </span>
          `,
        )}
      </div>
      <div
        class="lane__plot"
        ref=${host}
        style=${{ height: `${height}px` }}
        role="img"
        aria-label=${`Plot of ${named.join(", ")}`}></div>
    </div>
  `;
}

/** A signal that lives as long as the component. */
export function useSignal(first) {
  return useMemo(() => signal(first), []);
}

/** Buttons that choose which channels are shown; at least one stays. */
export function ChannelChips({ channels, shown, onChange }) {
  const flip = (name) => {
    const next = shown.includes(name) ? shown.filter((one) => one !== name) : [...shown, name];
    if (next.length) onChange(next);
  };
  return html`
    <div class="chips" role="group" aria-label="Channels shown">
      ${channels.map(
        ({ name, color }) => html`
          <button key=${name} class="chip" aria-pressed=${shown.includes(name)} onClick=${() => flip(name)}>
            <i class="swatch" style=${{ background: color }}></i>${name}
          </button>
        `,
      )}
    </div>
  `;
}
