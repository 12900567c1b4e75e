// What a stand with two feed lines consists of, and where each part is: drawn lying for a wide panel and
// standing for a narrow one. Which pressure is measured where is told by the station file.
//
//   oxygen bottle ─GOX1─ tank ─GOX2─┐               RELIEF1 and RELIEF2 let the tanks off, PURGE1 and PURGE2
//                                   ├─ chamber      lead nitrogen into the lines behind GOX2 and FUEL2, and
//   gas bottle ─FUEL1─ tank ─FUEL2──┘               IGNITION fires the igniter

const LYING = 0;
const STANDING = 1;

/** A part and its two places: lying, standing. */
const valve = (name, medium, ...at) => ({ name, medium, at });
const vessel = (place, medium, title, ...at) => ({ place, medium, title, at });
const gauge = (place, ...at) => ({ place, at });
/** A pipe: what is in it, the valves of which one has to be open for it to flow, and where it runs. */
const pipe = (medium, when, ...at) => ({ medium, when, at });

const VALVES = [
  valve("RELIEF1", "ox", [335, 58], [143, 215]),
  valve("GOX1", "ox", [197, 165], [60, 125]),
  valve("PURGE1", "inert", [655, 222], [124, 405]),
  valve("PURGE2", "inert", [655, 338], [236, 405]),
  valve("FUEL1", "fuel", [197, 395], [300, 125]),
  valve("RELIEF2", "fuel", [335, 502], [217, 215]),
  valve("GOX2", "ox", [500, 165], [60, 310]),
  valve("FUEL2", "fuel", [500, 395], [300, 310]),
  valve("IGNITION", "fire", [895, 110], [60, 590]),
];
const PIPES = [
  pipe("ox", ["GOX1"], "M105 165H335", "M60 60V215"),
  pipe("ox", ["RELIEF1"], "M335 165V62H425", "M60 215H145"),
  pipe("ox", ["GOX2"], "M335 165H655", "M60 215V405"),
  pipe("ox", ["GOX2", "PURGE1"], "M655 165H780V240", "M60 405V510H150V545"),
  pipe("fuel", ["FUEL1"], "M105 395H335", "M300 60V215"),
  pipe("fuel", ["RELIEF2"], "M335 395V498H425", "M300 215H215"),
  pipe("fuel", ["FUEL2"], "M335 395H655", "M300 215V405"),
  pipe("fuel", ["FUEL2", "PURGE2"], "M655 395H780V320", "M300 405V510H210V545"),
  pipe("inert", ["PURGE1"], "M500 280H655V165", "M180 60V405H60"),
  pipe("inert", ["PURGE2"], "M500 280H655V395", "M180 60V405H300"),
  pipe("fire", ["IGNITION"], "M895 130V205H825V240", "M75 590H130"),
];
const VESSELS = [
  vessel("oxygen bottle", "ox", "Oxygen", [60, 165], [60, 38]),
  vessel("oxygen tank", "ox", "Ox tank", [335, 165], [60, 215]),
  vessel("gas bottle", "fuel", "Gas", [60, 395], [300, 38]),
  vessel("fuel tank", "fuel", "Fuel tank", [335, 395], [300, 215]),
  vessel("nitrogen bottle", "inert", "Nitrogen", [455, 280], [180, 38]),
];
const GAUGES = [
  gauge("oxygen line", [735, 128], [60, 468]),
  gauge("fuel line", [735, 425], [300, 468]),
];
const SHEETS = [
  {
    width: 1000,
    height: 560,
    vessel: { w: 96, h: 84 },
    vents: [
      [450, 62],
      [450, 498],
    ],
    chamber: { x: 745, y: 226, w: 200, h: 108, turn: 0, tx: 790, ty: 280 },
  },
  {
    width: 360,
    height: 660,
    vessel: { w: 90, h: 60 },
    vents: [],
    chamber: { x: 130, y: 545, w: 100, h: 92, turn: 90, tx: 180, ty: 588 },
  },
];
const NARROW_PX = 620;

export const NAMES = VALVES.map(({ name }) => name);
const MEDIA = Object.fromEntries(VALVES.map(({ name, medium }) => [name, medium]));

/** What flows through a valve. */
export function mediumOf(name) {
  return MEDIA[name] ?? "";
}

function drawn(way) {
  const sheet = SHEETS[way];
  const point = ({ at, ...part }) => ({ ...part, x: at[way][0], y: at[way][1] });
  return {
    ...sheet,
    pipes: PIPES.map(({ at, ...part }) => ({ ...part, d: at[way] })),
    vessels: VESSELS.map((one) => ({ ...point(one), ...sheet.vessel })),
    gauges: GAUGES.map(point),
    chamber: { place: "chamber", ...sheet.chamber },
    valves: Object.fromEntries(VALVES.map(({ name, at }) => [name, at[way]])),
  };
}

const PLANS = [drawn(LYING), drawn(STANDING)];

/** The drawing for a panel of that width in pixels. */
export function planFor(widthPx) {
  return PLANS[widthPx < NARROW_PX ? STANDING : LYING];
}
