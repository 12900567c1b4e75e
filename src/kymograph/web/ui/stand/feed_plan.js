// Where the nine valves of a stand with two feed lines are, drawn lying for a wide panel and standing for a
// narrow one. Pressures are where the simulated engine has them.
//
//   oxygen bottle ─GOX1─ tank ─GOX2─┐               RELIEF1 and RELIEF2 let the tanks off, PURGE1 and PURGE2
//                                   ├─ chamber      lead nitrogen into the lines behind GOX2 and FUEL2, and
//   gas bottle ─FUEL1─ tank ─FUEL2──┘               IGNITION fires the igniter

export const NAMES = ["RELIEF1", "GOX1", "PURGE1", "PURGE2", "FUEL1", "RELIEF2", "GOX2", "FUEL2", "IGNITION"];

const MEDIA = {
  RELIEF1: "ox",
  GOX1: "ox",
  GOX2: "ox",
  RELIEF2: "fuel",
  FUEL1: "fuel",
  FUEL2: "fuel",
  PURGE1: "inert",
  PURGE2: "inert",
  IGNITION: "fire",
};

/** What flows through a valve. */
export function mediumOf(name) {
  return MEDIA[name] ?? "";
}

/** A pipe: where it runs, what is in it, and the valves of which one has to be open for it to flow. */
const pipe = (medium, d, ...when) => ({ medium, d, when });
const vessel = (medium, x, y, w, h, title, channel) => ({ medium, x, y, w, h, title, channel });

const WIDE = {
  width: 1000,
  height: 560,
  pipes: [
    pipe("ox", "M105 165H190", "GOX1"),
    pipe("ox", "M190 165H335", "GOX1"),
    pipe("ox", "M335 165V62H425", "RELIEF1"),
    pipe("ox", "M335 165H500", "GOX2"),
    pipe("ox", "M500 165H655", "GOX2"),
    pipe("ox", "M655 165H780V240", "GOX2", "PURGE1"),
    pipe("fuel", "M105 395H190", "FUEL1"),
    pipe("fuel", "M190 395H335", "FUEL1"),
    pipe("fuel", "M335 395V498H425", "RELIEF2"),
    pipe("fuel", "M335 395H500", "FUEL2"),
    pipe("fuel", "M500 395H655", "FUEL2"),
    pipe("fuel", "M655 395H780V320", "FUEL2", "PURGE2"),
    pipe("inert", "M500 280H655V165", "PURGE1"),
    pipe("inert", "M500 280H655V395", "PURGE2"),
    pipe("fire", "M895 130V205H825V240", "IGNITION"),
  ],
  vessels: [
    vessel("ox", 60, 165, 96, 84, "Oxygen", "P1"),
    vessel("ox", 335, 165, 96, 84, "Ox tank", "P2"),
    vessel("fuel", 60, 395, 96, 84, "Gas", "P5"),
    vessel("fuel", 335, 395, 96, 84, "Fuel tank", "P6"),
    vessel("inert", 455, 280, 96, 84, "Nitrogen", "P4"),
  ],
  gauges: [
    { x: 735, y: 128, channel: "P3" },
    { x: 735, y: 425, channel: "P7" },
  ],
  vents: [
    [450, 62],
    [450, 498],
  ],
  chamber: { x: 745, y: 226, w: 200, h: 108, turn: 0, tx: 810, ty: 280, channel: "P8" },
  valves: {
    GOX1: [197, 165],
    RELIEF1: [335, 58],
    GOX2: [500, 165],
    PURGE1: [655, 222],
    PURGE2: [655, 338],
    FUEL1: [197, 395],
    RELIEF2: [335, 502],
    FUEL2: [500, 395],
    IGNITION: [895, 110],
  },
};

const TALL = {
  width: 360,
  height: 660,
  pipes: [
    pipe("ox", "M60 60V125", "GOX1"),
    pipe("ox", "M60 125V215", "GOX1"),
    pipe("ox", "M60 215V310", "GOX2"),
    pipe("ox", "M60 310V405", "GOX2"),
    pipe("ox", "M60 405V510H150V545", "GOX2", "PURGE1"),
    pipe("ox", "M60 215H145", "RELIEF1"),
    pipe("fuel", "M300 60V125", "FUEL1"),
    pipe("fuel", "M300 125V215", "FUEL1"),
    pipe("fuel", "M300 215V310", "FUEL2"),
    pipe("fuel", "M300 310V405", "FUEL2"),
    pipe("fuel", "M300 405V510H210V545", "FUEL2", "PURGE2"),
    pipe("fuel", "M300 215H215", "RELIEF2"),
    pipe("inert", "M180 60V405H60", "PURGE1"),
    pipe("inert", "M180 60V405H300", "PURGE2"),
    pipe("fire", "M75 590H130", "IGNITION"),
  ],
  vessels: [
    vessel("ox", 60, 38, 90, 60, "Oxygen", "P1"),
    vessel("ox", 60, 215, 90, 60, "Ox tank", "P2"),
    vessel("fuel", 300, 38, 90, 60, "Gas", "P5"),
    vessel("fuel", 300, 215, 90, 60, "Fuel tank", "P6"),
    vessel("inert", 180, 38, 90, 60, "Nitrogen", "P4"),
  ],
  gauges: [
    { x: 60, y: 468, channel: "P3" },
    { x: 300, y: 468, channel: "P7" },
  ],
  vents: [],
  chamber: { x: 130, y: 545, w: 100, h: 92, turn: 90, tx: 180, ty: 588, channel: "P8" },
  valves: {
    GOX1: [60, 125],
    RELIEF1: [143, 215],
    GOX2: [60, 310],
    PURGE1: [124, 405],
    FUEL1: [300, 125],
    RELIEF2: [217, 215],
    FUEL2: [300, 310],
    PURGE2: [236, 405],
    IGNITION: [60, 590],
  },
};

/** The drawing for a panel of that width in pixels. */
export function planFor(widthPx) {
  return widthPx < 620 ? TALL : WIDE;
}
