// Numbers, times and colours as the page says them.
"use strict";

/** Read `f4:…` or `f8:…`; what is no number is null, which uPlot takes for a gap. */
function unpack(text) {
  const bytes = Uint8Array.from(atob(text.slice(3)), (char) => char.charCodeAt(0));
  const numbers = text.startsWith("f4:") ? new Float32Array(bytes.buffer) : new Float64Array(bytes.buffer);
  return Array.from(numbers, (value) => (Number.isNaN(value) ? null : value));
}

function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(`--${name}`).trim();
}

/** Write a value with about four significant digits. */
function number(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e9)) return value.toExponential(2).replace("-", "−");
  const whole = Math.max(1, Math.floor(Math.log10(Math.max(size, 1))) + 1);
  return grouped(value.toFixed(Math.max(0, Math.min(3, 4 - whole))));
}

/** Write a tick of an axis whose ticks are so far apart. */
function tick(value, step) {
  const decimals = Number(step.toPrecision(4)).toFixed(9).replace(/0+$/, "").split(".")[1];
  return grouped(value.toFixed(decimals.length));
}

function grouped(text) {
  const [whole, rest] = text.replace("-", "−").split(".");
  const apart = whole.replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
  return rest === undefined ? apart : `${apart}.${rest}`;
}

/** Write a time of day in UTC, as finely as ticks `step` seconds apart need. */
function clock(seconds, step) {
  const ms = Math.round(seconds * 1000);
  const text = new Date(ms).toISOString();
  if (step >= 86400) return text.slice(0, 10);
  if (step >= 60) return text.slice(11, 16);
  if (step >= 1) return text.slice(11, 19);
  return step >= 0.001 ? text.slice(11, 23) : `${text.slice(11, 19)}${(seconds % 1).toFixed(6).slice(1)}`;
}

/** Write the ticks of the time axis; the first one of a day says which. */
function timeTicks(_, splits, axis, space, step) {
  let day = "";
  return splits.map((split) => {
    const date = new Date(split * 1000).toISOString().slice(0, 10);
    const isNew = date !== day && step < 86400;
    day = date;
    return isNew ? `${clock(split, step)}\n${date}` : clock(split, step);
  });
}

/** Write the values of a line at a place: one, or from the lowest to the highest. */
function valueText(line, low, high) {
  if (low === null || low === undefined) return "–";
  if (line.labels.length) return line.labels[Math.round(high)] ?? number(high);
  const [from, to] = [number(low), number(high)];
  return from === to ? to : `${from} … ${to}`;
}
