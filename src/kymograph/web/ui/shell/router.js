// Addresses after the #: which room of the page is open, and with what.
import { computed, signal } from "../html.js";

const hash = signal(location.hash);
addEventListener("hashchange", () => {
  hash.value = location.hash;
  document.querySelector("main")?.focus({ preventScroll: true });
  scrollTo(0, 0);
});

/** The open address as decoded parts: `#/recordings/abc` is `["recordings", "abc"]`. */
export const place = computed(() =>
  hash.value.replace(/^#\/?/, "").split("/").filter(Boolean).map(decodeURIComponent),
);

/** Write an address for a link. */
export function link(...parts) {
  return `#/${parts.map(encodeURIComponent).join("/")}`;
}

export function go(...parts) {
  location.hash = link(...parts);
}
