// Numbers, units, times and sizes as a person reads them.

const UNIT_SIGNS = {
  Cel: "°C",
  deg: "°",
  degF: "°F",
  um: "µm",
  us: "µs",
  Ohm: "Ω",
  1: "",
  "m/s2": "m/s²",
  m2: "m²",
  m3: "m³",
  "umol/(m2.s)": "µmol/m²s",
  "%": "%",
};

/** Write a UCUM code as the sign that people know; unknown codes stay as they are. */
export function unitSign(unit) {
  return UNIT_SIGNS[unit] ?? unit ?? "";
}

/** Write a value with about four significant digits and no jumping width. */
export function number(value, digits = 4) {
  if (value === null || value === undefined || Number.isNaN(value)) return "–";
  if (!Number.isFinite(value)) return value > 0 ? "∞" : "−∞";
  const size = Math.abs(value);
  if (size !== 0 && (size < 1e-3 || size >= 1e7)) return value.toExponential(2).replace("-", "−");
  const whole = Math.max(1, Math.floor(Math.log10(Math.max(size, 1))) + 1);
  return value.toFixed(Math.max(0, Math.min(3, digits - whole))).replace("-", "−");
}

/** Write a value as its channel has it: words for those that have words, whole numbers whole. */
export function valueText(channel, value) {
  if (value === null || value === undefined || Number.isNaN(value)) return number(value);
  if (channel?.labels?.length) return channel.labels[value] ?? count(value);
  return /^u?int/.test(channel?.dtype ?? "") ? count(value) : number(value);
}

/** Write a whole number with thin spaces between thousands. */
export function count(value) {
  if (value === null || value === undefined) return "–";
  return Math.round(value)
    .toString()
    .replace(/\B(?=(\d{3})+(?!\d))/g, "\u202f");
}

/** Write a size in the decimal units that disks are sold in. */
export function bytes(value) {
  if (value === null || value === undefined) return "–";
  const units = ["B", "kB", "MB", "GB", "TB"];
  let step = 0;
  let size = value;
  while (size >= 1000 && step < units.length - 1) {
    size /= 1000;
    step += 1;
  }
  return `${step === 0 || size >= 100 ? Math.round(size) : size.toFixed(1)}\u00a0${units[step]}`;
}

/** Write a rate of rows. */
export function rate(hz) {
  if (hz === null || hz === undefined) return "–";
  if (hz >= 1000) return `${number(hz / 1000, 3)}\u00a0kHz`;
  return `${number(hz, 3)}\u00a0Hz`;
}

/** Write seconds as 3.2 s, 4 min 10 s, 2 h 05 min, 3 d 4 h. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  if (seconds < 1) return `${Math.round(seconds * 1000)}\u00a0ms`;
  if (seconds < 10) return `${seconds.toFixed(1)}\u00a0s`;
  const whole = Math.round(seconds);
  if (whole < 60) return `${whole}\u00a0s`;
  const two = (n) => String(n).padStart(2, "0");
  if (whole < 3600) return `${Math.floor(whole / 60)}\u00a0min ${two(whole % 60)}\u00a0s`;
  if (whole < 86400)
    return `${Math.floor(whole / 3600)}\u00a0h ${two(Math.floor((whole % 3600) / 60))}\u00a0min`;
  return `${Math.floor(whole / 86400)}\u00a0d ${Math.floor((whole % 86400) / 3600)}\u00a0h`;
}

/** Write seconds as a stop-watch does: 01:02:03. */
export function stopwatch(seconds) {
  const whole = Math.max(0, Math.floor(seconds));
  const two = (n) => String(n).padStart(2, "0");
  return `${two(Math.floor(whole / 3600))}:${two(Math.floor((whole % 3600) / 60))}:${two(whole % 60)}`;
}

const CLOCK = { hour: "2-digit", minute: "2-digit", second: "2-digit", hourCycle: "h23" };
const clockFormat = new Intl.DateTimeFormat("en-GB", CLOCK);
const dayFormat = new Intl.DateTimeFormat("en-GB", { day: "numeric", month: "short", year: "numeric" });

/** Write the local time of day of a moment in seconds since 1970, with that many decimals. */
export function timeOfDay(seconds, decimals = 0) {
  const text = clockFormat.format(new Date(seconds * 1000));
  if (!decimals) return text;
  const part = seconds - Math.floor(seconds);
  return `${text}.${Math.floor(part * 10 ** decimals)
    .toString()
    .padStart(decimals, "0")}`;
}

/** Write local date and time of a moment in nanoseconds since 1970. */
export function moment(ns) {
  if (!ns) return "–";
  return `${dayFormat.format(new Date(ns / 1e6))}, ${timeOfDay(ns / 1e9)}`;
}

/** Write a name of a file or a recording from now, such as 2026-03-14-0912. */
export function nameFromNow() {
  const at = new Date();
  const two = (n) => String(n).padStart(2, "0");
  const day = `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
  return `${day}-${two(at.getHours())}${two(at.getMinutes())}`;
}

/** Turn seconds since 1970 into a string of whole nanoseconds, for a query. */
export function toNs(seconds) {
  return `${Math.round(seconds * 1e6)}000`;
}
