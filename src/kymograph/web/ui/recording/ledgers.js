// Completeness ledgers, asked for gently: one at a time, only of recordings that are on the screen, and a
// running one again after a rest that is long against the time its answer took.
import { signal, useEffect, useState } from "../html.js";
import { api } from "../station/api.js";

const REST_MS_MIN = 2000;
const REST_SHARE = 10; // a ledger of ten thousand files takes the station a while
const KEPT_MAX = 500;

const kept = new Map(); // id → { version, ledger, restsUntil }
const news = signal(null); // the ledger that somebody has put in place of another: { id, ledger }
let queue = Promise.resolve();

function keep(id, version, ledger, tookMs = 0) {
  const restsUntil = performance.now() + Math.max(REST_MS_MIN, tookMs * REST_SHARE);
  kept.delete(id);
  const whole = ledger.files.length === ledger.expected.segments;
  kept.set(id, { version, ledger, whole, restsUntil });
  if (kept.size > KEPT_MAX) kept.delete(kept.keys().next().value);
}

/** Put a ledger in place of what is shown of a recording, on whatever page. */
export function noteLedger(id, version, ledger) {
  keep(id, version, ledger);
  news.value = { id, ledger };
}

/** How long a recording's ledger is not to be asked for again (ms). */
function restOf(id) {
  return Math.max(0, (kept.get(id)?.restsUntil ?? 0) - performance.now());
}

/** What was last heard of a recording's completeness, on whatever page. */
export function keptLedger(id) {
  return kept.get(id)?.ledger ?? null;
}

/** Ask when all others have been answered, unless nobody wants it any more; null if there is no answer. */
function askInTurn(id, files, wanted) {
  const turn = queue.then(async () => {
    if (!wanted()) return null;
    const began = performance.now();
    try {
      const ledger = await api.completeness(id, undefined, files ? undefined : false);
      return { ledger, tookMs: performance.now() - began };
    } catch {
      return null; // a recording that cannot be read says so on its own page
    }
  });
  queue = turn;
  return turn;
}

/**
 * Keep the ledger of a recording while `near` is true. It is asked for again when `version` changes, and by
 * itself for as long as the recording (or the mirrored one) runs. With `files` it lists each file, which of
 * thousands makes megabytes.
 */
export function useLedger(id, version, { near = true, files = false } = {}) {
  const [ledger, setLedger] = useState(keptLedger(id));
  const told = news.value;
  useEffect(() => {
    if (told?.id === id) setLedger(told.ledger);
  }, [told]);
  useEffect(() => {
    if (!near) return undefined;
    const before = kept.get(id);
    if (before?.version === version && !before.ledger.running && (before.whole || !files)) {
      setLedger(before.ledger);
      return undefined;
    }
    let wanted = true;
    let timer = 0;
    const ask = async () => {
      const answer = await askInTurn(id, files, () => wanted);
      if (!wanted) return;
      if (answer) {
        keep(id, version, answer.ledger, answer.tookMs);
        setLedger(answer.ledger);
      }
      if (!answer || answer.ledger.running) timer = setTimeout(ask, restOf(id) || REST_MS_MIN);
    };
    if (before?.ledger.running && before.version !== version) timer = setTimeout(ask, restOf(id));
    else ask();
    return () => {
      wanted = false;
      clearTimeout(timer);
    };
  }, [id, version, near]);
  return ledger;
}

/** Whether the element in `box` is on the screen, or nearly. */
export function useInView(box) {
  const [inView, setInView] = useState(false);
  useEffect(() => {
    const observer = new IntersectionObserver(([entry]) => setInView(entry.isIntersecting), {
      rootMargin: "100px",
    });
    observer.observe(box.current);
    return () => observer.disconnect();
  }, []);
  return inView;
}

/** What makes a ledger old: another end, another number of files. */
export function ledgerVersion({ ended, segments }) {
  return `${ended} ${segments}`;
}
