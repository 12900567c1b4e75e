// Who the station takes this browser for. A key is shown to the station once; the cookie it gives is its own.
import { computed, signal } from "../html.js";
import { api } from "./api.js";

/** `{ name, scopes, key_needed }`, or null before the station has said. */
export const session = signal(null);

/** Whether nothing can be read without a key. */
export const needsKey = computed(() => session.value !== null && !session.value.scopes.includes("read"));

/** Ask the station who we are. */
export async function askSession() {
  session.value = await api.session();
}

/** Show a key; throws a `Problem` if it is not known. */
export async function beginSession(key) {
  session.value = await api.beginSession(key);
}

export async function endSession() {
  await api.endSession();
  await askSession();
}
