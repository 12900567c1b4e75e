// What makes a stream a scan, and its columns as the polar view wants them: metres and degrees.
import { unitSign } from "../format.js";

const METRES = { m: 1, mm: 1e-3, cm: 1e-2 };
const WANTED = ["distance", "angle", "intensity", "scan"];
const FAR_M = 8;

/** Whether a stream is a scan: it has an angle and a distance. */
export function isScan(stream) {
  const names = stream.channels.map(({ name }) => name);
  return names.includes("angle") && names.includes("distance");
}

/** The channels of a scan that the polar view uses. */
export function scanChannels(stream) {
  return WANTED.filter((name) => stream.channels.some((channel) => channel.name === name));
}

function unitOf(stream, name) {
  return stream.channels.find((channel) => channel.name === name)?.unit ?? "";
}

/** Return `{ distance, angle, scan, tone }`; `tone` is the name of the channel that gives the colour. */
export function samples(stream, columns, tone) {
  const metres = METRES[unitOf(stream, "distance")] ?? 1;
  const degrees = unitOf(stream, "angle") === "rad" ? 180 / Math.PI : 1;
  const distance = metres === 1 ? columns.distance : Array.from(columns.distance, (v) => v * metres);
  const angle = degrees === 1 ? columns.angle : Array.from(columns.angle, (v) => v * degrees);
  return { distance, angle, scan: columns.scan, tone: tone === "distance" ? distance : columns[tone] };
}

/** Return what the view needs to colour by a channel: its name, range and unit. */
export function colourSource(stream, name) {
  const channel = stream.channels.find((one) => one.name === name);
  if (name === "distance") return { name, low: 0, high: FAR_M, unit: "m" };
  const open = channel.high === null; // then the view looks for the brightest
  return { name, low: channel.low ?? 0, high: channel.high ?? 1, open, unit: unitSign(channel.unit) };
}
