// Everything one page tells of a recording, kept fresh while it (or the recording it mirrors) runs.
import { useEffect, useRef, useState } from "../html.js";
import { api } from "../station/api.js";
import { attempt, recorders } from "../station/state.js";
import { ledgerVersion, noteLedger, useLedger } from "./ledgers.js";

const REFRESH_MS = 5000;
const REST_SHARE = 10; // a list of ten thousand files is not asked for every second
const EMPTY = { recording: null, segments: [], events: [], missing: false };

/** Read a recording, its sealed files and its events; gives `[state, setRecording, load]`. */
function useParts(id) {
  const [state, setState] = useState(EMPTY);
  const load = async () => {
    const recording = await attempt(api.recording(id));
    if (!recording) return setState((before) => ({ ...before, missing: !before.recording }));
    const [segments, events] = await Promise.all([
      attempt(api.segments(id)),
      attempt(api.recordingEvents(id)),
    ]);
    return setState((before) => ({
      recording,
      segments: segments?.items ?? before.segments,
      events: events?.items ?? before.events,
      missing: false,
    }));
  };
  const setRecording = (recording) => setState((before) => ({ ...before, recording }));
  return [state, setRecording, load];
}

/** Load at once, when `news` changes, and every few seconds while `running`; rest after what took long. */
function useFresh(load, id, running, news) {
  const rests = useRef(0);
  useEffect(() => {
    let timer = 0;
    let wanted = true;
    const again = async () => {
      const began = performance.now();
      await load();
      const now = performance.now();
      rests.current = now + (now - began) * REST_SHARE;
      if (wanted && running) timer = setTimeout(again, Math.max(REFRESH_MS, rests.current - now));
    };
    timer = setTimeout(again, Math.max(0, rests.current - performance.now()));
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [id, running, news]);
}

/** `{ recording, segments, events, missing, ledger, setRecording, setLedger }`. */
export function useRecording(id) {
  const [state, setRecording, load] = useParts(id);
  const recorder = recorders.value.find((one) => one.recording_id === id);
  const sealed = state.segments.length;
  const version = ledgerVersion({ ended: state.recording?.ended, segments: sealed });
  const ledger = useLedger(id, version, { near: state.recording !== null, files: true });
  const running = recorder !== undefined || ledger?.running === true;
  useFresh(load, id, running, recorder?.segments);
  const setLedger = (next) => noteLedger(id, version, next);
  return { ...state, ledger, setRecording, setLedger };
}
