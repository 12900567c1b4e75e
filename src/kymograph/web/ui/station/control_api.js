// Questions and orders about control: who may move what, sequences and their runs, what begins a recording.
import { get, part, post } from "./api.js";

export const controlApi = {
  status: (signal) => get("control", undefined, signal),
  take: (by, ttlS) => post("control/lease", { by, ttl_s: ttlS }),
  release: (by) => post("control/lease/release", { by }),
  breakLease: (by) => post("control/lease/break", { by }),
  handOver: (by, to) => post("control/lease/handover", { by, to }),
  arm: (target, order, ttlS) => post("control/arm", { target, ...order, ttl_s: ttlS }),
  disarm: (target, by) => post("control/disarm", { target, by }),
  resetStop: (by, confirm) => post("control/stop/reset", confirm === undefined ? { by } : { by, confirm }),
  resetInterlock: (name, by) => post(`control/interlocks/${part(name)}/reset`, { by }),
  sequences: () => get("sequences"),
  sequence: (name) => get(`sequences/${part(name)}`),
  validate: (name, parameters) => post(`sequences/${part(name)}/validate`, { parameters }),
  startRun: (wish) => post("runs", wish),
  runs: (limit) => get("runs", { limit }),
  run: (id) => get(`runs/${part(id)}`),
  runAction: (id, action, by, reason) => post(`runs/${part(id)}/${action}`, { by, reason }),
  triggers: () => get("triggers"),
  trigger: (name, action) => post(`triggers/${part(name)}/${action}`),
  promote: (wish) => post("recordings/promote", wish),
};
