// What a live message carries, as arrays that can be drawn.
import { decode } from "../vendor/msgpack/decode.js";

const ARRAYS = {
  i1: Int8Array,
  i2: Int16Array,
  i4: Int32Array,
  u1: Uint8Array,
  u2: Uint16Array,
  u4: Uint32Array,
  f4: Float32Array,
  f8: Float64Array,
};

/** Read a WebSocket message, text JSON or binary msgpack. */
export function readMessage(data) {
  return typeof data === "string" ? JSON.parse(data) : decode(new Uint8Array(data));
}

/** Read 64-bit integers as doubles: exact to 2⁵³, and a few hundred nanoseconds for a time. */
function wideIntegers(buffer, signed) {
  const words = new Uint32Array(buffer);
  const high = signed ? new Int32Array(buffer) : words;
  const values = new Float64Array(words.length / 2);
  for (let i = 0; i < values.length; i += 1) values[i] = high[2 * i + 1] * 4294967296 + words[2 * i];
  return values;
}

function column(value) {
  if (Array.isArray(value)) return value;
  const buffer = value.data.slice().buffer; // a copy, because the bytes in a message are not aligned
  const kind = value.dtype.slice(1);
  if (kind === "i8" || kind === "u8") return wideIntegers(buffer, kind === "i8");
  return new ARRAYS[kind](buffer);
}

/**
 * Return `{ t, columns }` of a data message: `t` in seconds since 1970, each column an array, or
 * `{ min, max }` of arrays where the message is reduced.
 */
export function readColumns(message) {
  const columns = {};
  for (const [name, value] of Object.entries(message.columns)) {
    columns[name] =
      value.min === undefined ? column(value) : { min: column(value.min), max: column(value.max) };
  }
  const times = columns.time_ns;
  delete columns.time_ns;
  const t = new Float64Array(times.length);
  for (let i = 0; i < t.length; i += 1) t[i] = times[i] / 1e9;
  return { t, columns };
}
