// What the page knows of sequences and their runs: asked for when it opens, then told by events.
import { computed, effect, signal } from "../html.js";
import { controlApi } from "../station/control_api.js";
import { connection, events, stationNow } from "../station/state.js";

const RUNS_SHOWN = 8;
const OVER = ["done", "aborted", "failed"];

/** Sequences that can be run, or null where the station does not say. */
export const sequences = signal(null);
/** The newest runs, newest first. */
export const runs = signal([]);

export function isOver(run) {
  return OVER.includes(run.state);
}

/** The run that is going on, or null. */
export const active = computed(() => runs.value.find((run) => !isOver(run)) ?? null);

/** How far each run is in its timeline, by its id. A line may come many times: each looks on from there. */
const places = new Map();

/** The line of the step that was begun last: a line that is in no timeline, such as a wait, is no step. */
function lineOf({ timeline, line }) {
  const before = timeline.map((step) => step.line).filter((one) => one > 0 && one <= (line ?? 0));
  return before.length ? Math.max(...before) : null;
}

/** Where a run that began before this page was opened may be: the step of that line that fits the time. */
function guessed({ timeline, started_ns: begun }, line) {
  const spent = stationNow() - (begun ?? 0) / 1e9;
  const far = (step) => Math.max(step.earliest_s - spent, spent - step.latest_s, 0);
  const fits = timeline.map((step, i) => [far(step), i]).filter(([, i]) => timeline[i].line === line);
  return fits.length ? fits.reduce((best, one) => (one[0] < best[0] ? one : best))[1] : -1;
}

/** The place of the step that a run began last. */
function placeOf(run) {
  if (run.state === "done") return run.timeline.length;
  const line = lineOf(run);
  if (!places.has(run.id)) places.set(run.id, isOver(run) ? -1 : guessed(run, line));
  const from = Math.max(0, places.get(run.id));
  const next = run.timeline.findIndex((step, i) => i >= from && step.line === line);
  if (next >= 0) places.set(run.id, next);
  return places.get(run.id);
}

function withPlace(run) {
  if (!run.timeline) return run;
  const at = placeOf(run);
  return { ...run, at, busy: !isOver(run) && run.timeline[at]?.line === run.line };
}

/** Whether what is said is of before: an answer may come after the event that tells of what came later. */
function isLate(before, said) {
  const rank = (run) => (isOver(run) ? 2 : Number(run.state === "ending"));
  return before !== undefined && rank(said) < rank(before);
}

/** Take what was said of a run for what is so; what an event leaves out stays as it was. */
export function noteRun(said) {
  const before = runs.peek().find((one) => one.id === said.id);
  if (isLate(before, said)) return;
  const rest = runs.peek().filter((one) => one.id !== said.id);
  const merged = withPlace({ ...before, ...said });
  const newestFirst = (a, b) => (b.started_ns ?? 0) - (a.started_ns ?? 0);
  runs.value = [merged, ...rest].sort(newestFirst).slice(0, RUNS_SHOWN);
  if (!merged.timeline) controlApi.run(said.id).then(noteRun, () => undefined);
}

/** Ask for both lists. */
export async function askRuns() {
  const [known, lately] = await Promise.allSettled([controlApi.sequences(), controlApi.runs(RUNS_SHOWN)]);
  sequences.value = known.status === "fulfilled" ? known.value.items : null;
  if (lately.status !== "fulfilled") return;
  runs.value = lately.value.items.map(withPlace);
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

const A_TIME = /^[\d.]+ s$/;

/** Say what a run waits for; a mere time is a wait. */
export function waitText({ waits_for: what }) {
  if (!what) return "";
  if (A_TIME.test(what)) return `waits ${what}`;
  return what.startsWith("the answer") ? `waits for ${what}` : `until ${what}`;
}
