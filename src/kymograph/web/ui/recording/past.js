// What lies in the past already: how much of it the station still holds, and keeping it.
import { html, useState } from "../html.js";
import { nameFromNow } from "../format.js";
import { toast } from "../shell/toasts.js";
import { controlApi } from "../station/control_api.js";
import { attempt, stationNow, streams } from "../station/state.js";

const KEEP_S = 30;

/** Seconds that the ring of a stream reaches back; one that is not full yet has grown since it was asked. */
function reach({ ring }) {
  if (!ring?.rows || !ring.first_ns) return 0;
  const until = ring.rows < ring.capacity ? stationNow() : ring.last_ns / 1e9;
  return Math.max(0, until - ring.first_ns / 1e9);
}

/** How many seconds of the past the station has of these instruments, 0 where it has none. */
export function heldOf(instruments) {
  const own = streams.value.filter(({ instrument }) => instruments.includes(instrument));
  return Math.max(0, ...own.map(reach));
}

/** Make a recording of what has just happened; nothing where there is nothing to be kept. */
export function KeepPast() {
  const [busy, setBusy] = useState(false);
  if (!streams.value.some(({ ring }) => ring?.rows > 0)) return null;
  const keep = async () => {
    setBusy(true);
    const kept = await attempt(controlApi.promote({ name: `${nameFromNow()}-kept`, seconds: KEEP_S }));
    setBusy(false);
    if (kept) toast({ kind: "good", title: `The last ${KEEP_S} s are kept`, hint: kept.name });
  };
  return html`<button type="button" class="button" disabled=${busy} onClick=${keep} data-test="keep-past">
    Keep the last ${KEEP_S} s
  </button>`;
}
