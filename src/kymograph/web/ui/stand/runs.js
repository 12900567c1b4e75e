// What the page knows of sequences and their runs: asked for when it opens, then told by events.
import { computed, effect, signal } from "../html.js";
import { controlApi } from "../station/control_api.js";
import { connection, events } from "../station/state.js";

const RUNS_SHOWN = 8;
const OVER = ["done", "aborted", "failed"];

/** Sequences that can be run, or null where the station does not say. */
export const sequences = signal(null);
/** The newest runs, newest first. */
export const runs = signal([]);
/** When what is known of a run was told (ms, this browser's clock), by its id. */
export const toldAt = signal({});

export function isOver(run) {
  return OVER.includes(run.state);
}

/** The run that is going on, or null. */
export const active = computed(() => runs.value.find((run) => !isOver(run)) ?? null);

/** Take what was said of a run for what is so; what an event leaves out stays as it was. */
export function noteRun(said) {
  const before = runs.peek().find((one) => one.id === said.id);
  const rest = runs.peek().filter((one) => one.id !== said.id);
  const merged = { ...before, ...said };
  runs.value = [merged, ...rest].sort((a, b) => (b.started_ns ?? 0) - (a.started_ns ?? 0)).slice(0, RUNS_SHOWN);
  toldAt.value = { ...toldAt.peek(), [said.id]: Date.now() };
  if (!merged.timeline) controlApi.run(said.id).then(noteRun, () => undefined);
}

/** Ask for both lists. */
export async function askRuns() {
  const [known, lately] = await Promise.allSettled([controlApi.sequences(), controlApi.runs(RUNS_SHOWN)]);
  sequences.value = known.status === "fulfilled" ? known.value.items : null;
  if (lately.status !== "fulfilled") return;
  runs.value = lately.value.items;
  toldAt.value = Object.fromEntries(lately.value.items.map(({ id }) => [id, Date.now()]));
}

/** Follow runs; returns what ends it. */
export function followRuns() {
  let last = null;
  const seen = effect(() => {
    const fresh = events.value.filter(({ source }) => source.startsWith("run/"));
    const newest = fresh[0];
    if (!newest || newest === last) return;
    last = newest;
    noteRun({ id: newest.source.slice(4), ...newest.body });
  });
  const asked = effect(() => connection.value.state === "live" && askRuns());
  return () => {
    seen();
    asked();
  };
}
