// What is in a reading: `{"bme280": {"temperature": {"c": 12.3, "f": 54.1}}}` as fields with names and units.
import { count, duration } from "../format.js";

const UNITS = {
  c: "°C",
  f: "°F",
  hpa: "hPa",
  pa: "Pa",
  kpa: "kPa",
  mbar: "mbar",
  bar: "bar",
  rh: "%",
  m_s: "m/s",
  km_h: "km/h",
  deg: "°",
  mm: "mm",
  mm_h: "mm/h",
  m: "m",
  v: "V",
  mv: "mV",
  a: "A",
  ma: "mA",
  w: "W",
  w_m2: "W/m²",
  lx: "lx",
  s: "s",
  ms: "ms",
  hz: "Hz",
  g: "g",
  kg: "kg",
  n: "N",
  mb: "MB",
  value: "",
};
const SIZE = /^(.+)_mb$/;

const words = (name) => name.replaceAll("_", " ");

/** Split a path such as `bme280.temperature.c` into `{ path, sensor, name, unit }`. */
export function fieldOf(path) {
  const parts = path.split(".");
  const last = parts.at(-1);
  const sensor = words(parts[0]);
  const size = SIZE.exec(last);
  if (size) return { path, sensor, name: `${words(parts.at(-2) ?? "")} ${size[1]}`.trim(), unit: "MB" };
  if (parts.length > 1 && last in UNITS) {
    return { path, sensor, name: words(parts.at(-2)), unit: UNITS[last] };
  }
  return { path, sensor, name: words(last), unit: "" };
}

/** Whether a field only says in another unit what its neighbour says. */
function isTwin(path, others) {
  return path.endsWith(".f") && others.has(`${path.slice(0, -1)}c`);
}

/** Of these paths, those that say something of their own, in degrees Celsius. */
export function withoutTwins(paths) {
  const all = new Set(paths);
  return paths.filter((path) => !isTwin(path, all));
}

function walk(node, path, found) {
  for (const [key, value] of Object.entries(node)) {
    const here = path ? `${path}.${key}` : key;
    if (value !== null && typeof value === "object" && !Array.isArray(value)) {
      if (typeof value.error === "string") found.push({ path: here, error: value.error });
      else walk(value, here, found);
    } else if (typeof value === "number" || value === null) found.push({ path: here, value });
  }
  return found;
}

/** List a payload's numbers and errors: `{ path, sensor, name, unit, value }`, or `error` instead. */
export function leaves(payload) {
  const all = walk(payload ?? {}, "", []);
  const own = new Set(withoutTwins(all.map(({ path }) => path)));
  return all
    .filter(({ path }) => own.has(path))
    .map((leaf) =>
      leaf.error
        ? { ...leaf, sensor: words(leaf.path.split(".")[0]), name: words(leaf.path.replaceAll(".", " ")) }
        : { ...fieldOf(leaf.path), value: leaf.value },
    );
}

/** Write a value as a reading has it: two decimals at most. */
export function readingText(value) {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (Number.isInteger(value) || size >= 1e5) return count(value).replace("-", "−");
  return value.toFixed(size >= 100 ? 1 : 2).replace("-", "−");
}

/** Write a length of time without what is zero of it: `1 min`, not `1 min 00 s`. */
export function spanWords(seconds) {
  return duration(seconds).replace(/ 0+\u00a0\w+$/, "");
}

/** What a station measures with sensors first, temperature on top; then what it says of itself. */
export function byInterest(paths) {
  const rank = (path) => {
    const parts = path.split(".");
    const at = ["c", "rh", "hpa"].indexOf(parts.at(-1));
    return (parts.length > 2 ? 0 : 10) + (at < 0 ? 5 : at);
  };
  return [...paths].sort((a, b) => rank(a) - rank(b) || (a < b ? -1 : 1));
}
