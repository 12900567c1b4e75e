// Stopping everything: one request that is sent until it is answered, and what became of it in plain words.
//
// It needs nothing else of the page: no live connection, no lease, no name.
import { signal } from "../html.js";
import { address } from "./api.js";
import { askControl, makeWay } from "./control.js";
import { person } from "./person.js";

const ANSWER_MS = 2500;
const AGAIN_MS = 400;
const GIVE_UP_MS = 30_000;

/**
 * What became of the last press: `{ state, tries, detail, sent }`, or null. `state` is `sending`, `sent`,
 * `not_sent` (the station was not reached), or `refused` (it said no).
 */
export const stopping = signal(null);

let pressedAt = -Infinity;

async function once(body) {
  const late = new AbortController();
  const timer = setTimeout(() => late.abort(), ANSWER_MS);
  try {
    const answer = await fetch(address("control/stop"), {
      method: "POST",
      headers: { "Content-Type": "application/json" },
      body,
      signal: late.signal,
      keepalive: true,
      priority: "high",
      cache: "no-store",
    });
    return { status: answer.status, content: await answer.json().catch(() => ({})) };
  } catch {
    return { status: 0, content: {} };
  } finally {
    clearTimeout(timer);
  }
}

const later = (ms) => new Promise((done) => setTimeout(done, ms));

function outcome({ status, content }, tries) {
  if (status === 200) return { state: "sent", tries, sent: content.sent ?? {} };
  const detail = content.detail || content.title || (status ? `the station answered ${status}` : "");
  return { state: status === 401 || status === 403 ? "refused" : "not_sent", tries, detail };
}

/** Send the stop until it is answered. A press during that begins anew. */
export async function stopAll() {
  const began = performance.now();
  pressedAt = began;
  makeWay();
  const body = JSON.stringify({ by: person.peek(), reason: "" });
  stopping.value = { state: "sending", tries: 0 };
  for (let tries = 1; pressedAt === began; tries += 1) {
    const result = outcome(await once(body), tries);
    if (pressedAt !== began) return;
    stopping.value = result;
    if (result.state !== "not_sent") break;
    if (performance.now() - began > GIVE_UP_MS) {
      stopping.value = { ...result, given_up: true };
      return;
    }
    await later(AGAIN_MS);
  }
  askControl();
}

/** Put the words about the last press away. */
export function dismissStop() {
  pressedAt = -Infinity;
  stopping.value = null;
}

/** What did not get the stop, as `[instrument, how it went]`. */
export function notReached(sent) {
  return Object.entries(sent ?? {}).filter(([, how]) => how !== "sent");
}
