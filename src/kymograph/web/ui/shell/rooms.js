// The rooms of the page. A new page is a line here and a module in pages/, loaded when it is first opened.
//
// `match(place)` returns the properties for the page, or null. `title` is in the navigation if it is there;
// `shown(station)` may hide a room that this station has no use for.
import { moves } from "../station/control.js";

const has = (feature) => (station) => station?.features?.includes(feature) ?? false;
const only = (name) => (place) => (place.length === 1 && place[0] === name ? {} : null);
const one = (name, key) => (place) =>
  place.length === 2 && place[0] === name ? { [key]: place[1] } : null;

export const ROOMS = [
  {
    title: "Overview",
    icon: "overview",
    path: [],
    match: (place) => (place.length === 0 ? {} : null),
    load: () => import("../pages/overview.js"),
  },
  {
    title: "Stand",
    icon: "stand",
    path: ["stand"],
    match: only("stand"),
    shown: () => moves.value,
    load: () => import("../pages/stand.js"),
  },
  {
    title: "Fleet",
    icon: "fleet",
    path: ["fleet"],
    match: only("fleet"),
    shown: has("fleet"),
    load: () => import("../pages/fleet.js"),
  },
  { path: ["fleet"], match: one("fleet", "name"), load: () => import("../pages/fleet_station.js") },
  {
    title: "Readings",
    icon: "readings",
    path: ["readings"],
    match: only("readings"),
    shown: has("readings"),
    load: () => import("../pages/readings.js"),
  },
  {
    path: ["instruments"],
    match: one("instruments", "name"),
    load: () => import("../pages/instrument.js"),
  },
  {
    title: "Recordings",
    icon: "recordings",
    path: ["recordings"],
    match: only("recordings"),
    load: () => import("../pages/recordings.js"),
  },
  { path: ["recordings"], match: one("recordings", "id"), load: () => import("../pages/recording.js") },
  {
    title: "Completeness",
    icon: "shield",
    path: ["completeness"],
    match: only("completeness"),
    load: () => import("../pages/completeness.js"),
  },
  {
    title: "Settings",
    icon: "settings",
    path: ["settings"],
    match: only("settings"),
    load: () => import("../pages/settings.js"),
  },
];

/** Find the room of an address: `{ room, props }`, or null. */
export function roomOf(place) {
  for (const room of ROOMS) {
    const props = room.match(place);
    if (props) return { room, props };
  }
  return null;
}

/** The rooms that the navigation offers on this station. */
export function roomsInNavigation(station) {
  return ROOMS.filter((room) => room.title && (!room.shown || room.shown(station)));
}
