// The access key of this browser tab: asked for only where the station wants one, forgotten with the tab.
import { signal } from "../html.js";

const SLOT = "kymograph.key";

function stored() {
  try {
    return sessionStorage.getItem(SLOT) ?? "";
  } catch {
    return "";
  }
}

export const key = signal(stored());

/** Keep a key for this tab; an empty one forgets it. */
export function setKey(value) {
  key.value = value.trim();
  try {
    if (key.value) sessionStorage.setItem(SLOT, key.value);
    else sessionStorage.removeItem(SLOT);
  } catch {
    // Without storage the key lives as long as the page.
  }
}
