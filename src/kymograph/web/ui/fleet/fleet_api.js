// What a hub is asked of its stations.
import { address, get, part, patch, post, remove } from "../station/api.js";

const of = (station) => `fleet/${part(station)}`;

export const fleetApi = {
  all: () => get("fleet"),
  one: (station) => get(of(station)),
  change: (station, wish) => patch(of(station), wish),
  ledger: (station) => get(`${of(station)}/ledger`),
  recordings: (station, cursor) => get(`${of(station)}/recordings`, { cursor, limit: 50 }),
  segments: (station, id) => get(`${of(station)}/recordings/${part(id)}/segments`),
  keys: (station) => get(`${of(station)}/keys`),
  makeKey: (station, label) => post(`${of(station)}/keys`, { label }),
  revokeKey: (station, id) => remove(`${of(station)}/keys/${part(id)}`),
  rejects: (station) => get("fleet/rejects", { station, limit: 50 }),
  dropReject: (id) => remove(`fleet/rejects/${id}`),
};

/** Return the address of a shipped file. */
export function fileAddress(station, id, filename) {
  return address(`${of(station)}/recordings/${part(id)}/segments/${part(filename)}`).href;
}

/** Return the address of a batch that was put aside. */
export function rejectAddress(id) {
  return address(`fleet/rejects/${id}`).href;
}
