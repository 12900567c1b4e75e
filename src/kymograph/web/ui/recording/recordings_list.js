// The recordings of the station, page after page, newest first.
import { useEffect, useState } from "../html.js";
import { api } from "../station/api.js";
import { attempt, recorders } from "../station/state.js";

const PAGE_SIZE = 100;

/** `{ list, setList, more }`; read again when a recording starts or stops, and when `version` changes. */
export function useRecordings(version) {
  const [list, setList] = useState(null);
  const [next, setNext] = useState(null);
  const load = async (cursor) => {
    const answer = await attempt(api.recordings({ limit: PAGE_SIZE, cursor }));
    if (!answer) return;
    setList((before) => (cursor ? [...(before ?? []), ...answer.items] : answer.items));
    setNext(answer.next);
  };
  const running = recorders.value.map((one) => one.recording_id).join();
  useEffect(() => {
    load();
  }, [running, version]);
  return { list, setList, more: next && (() => load(next)) };
}
