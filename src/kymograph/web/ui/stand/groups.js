// Channels sorted as people on a stand think of them: pressures, temperatures, and what is left.
const PRESSURES = ["bar", "Pa", "kPa", "MPa", "mbar", "psi", "[psi]"];
const TEMPERATURES = ["Cel", "K", "degF", "[degF]"];

/** Whether a channel has the unit of a pressure. */
export function isPressure({ unit }) {
  return PRESSURES.includes(unit);
}

function kindOf(channel) {
  if (isPressure(channel)) return "Pressures";
  return TEMPERATURES.includes(channel.unit) ? "Temperatures" : "Others";
}

/** Numbers only: what has words for its values is shown elsewhere. */
export function numeric(stream) {
  return stream.channels.filter(({ labels }) => !labels?.length);
}

/** `[["Pressures", channels], …]`, those that there are. */
export function grouped(channels) {
  return ["Pressures", "Temperatures", "Others"]
    .map((kind) => [kind, channels.filter((channel) => kindOf(channel) === kind)])
    .filter(([, list]) => list.length);
}
