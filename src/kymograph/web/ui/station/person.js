// What the person at this page is called: by their key if they have one, else as they said once.
import { computed, signal } from "../html.js";
import { session } from "./session.js";

const SLOT = "kymograph.person";
const NOBODY = ["", "local"]; // what the station calls those without a key

function remembered() {
  try {
    return localStorage.getItem(SLOT) ?? "";
  } catch {
    return ""; // storage may be forbidden; the name is then asked for again
  }
}

const said = signal(remembered());

/** The name of the key, which nobody can choose for themselves; "" without one. */
export const keyName = computed(() => {
  const name = session.value?.name ?? "";
  return NOBODY.includes(name) ? "" : name;
});

/** Who acts on this page; "" as long as nobody said. */
export const person = computed(() => keyName.value || said.value);

/** Remember a name for this browser. */
export function callMe(name) {
  said.value = name.trim();
  try {
    localStorage.setItem(SLOT, said.peek());
  } catch {
    // Not remembered then.
  }
}

/** Whether the station lets this browser do what needs that scope. */
export function may(scope) {
  return session.value?.scopes.includes(scope) ?? false;
}
