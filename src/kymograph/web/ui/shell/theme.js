// Dark, light, or as the system has it; plots ask here for the colours that the style sheet declares.
import { signal } from "../html.js";

const SLOT = "kymograph.theme";
const CHOICES = ["auto", "dark", "light"];
const system = matchMedia("(prefers-color-scheme: light)");
const root = document.documentElement;

export const theme = signal(root.dataset.theme || "auto");

/** `dark` or `light`, whatever was chosen; plots redraw when it changes. */
export const shade = signal(resolved());

export const calm = matchMedia("(prefers-reduced-motion: reduce)");

function resolved() {
  const choice = root.dataset.theme;
  if (choice === "dark" || choice === "light") return choice;
  return system.matches ? "light" : "dark";
}

system.addEventListener("change", () => (shade.value = resolved()));

/** Choose and remember a theme. */
export function setTheme(choice) {
  root.dataset.theme = choice;
  theme.value = choice;
  shade.value = resolved();
  try {
    localStorage.setItem(SLOT, choice);
  } catch {
    // Not remembered then.
  }
}

export function nextTheme() {
  setTheme(CHOICES[(CHOICES.indexOf(theme.value) + 1) % CHOICES.length]);
}

/** Return the value of a custom property of the style sheet, such as `--ink`. */
export function colour(name) {
  return getComputedStyle(root).getPropertyValue(name).trim();
}

/** Return the colours of traces, in the order they are given out. */
export function traceColours() {
  return [1, 2, 3, 4, 5, 6, 7, 8].map((n) => colour(`--trace-${n}`));
}
