// The state of the stand in one word, to be read from three metres away, and what there is to say about it.
import { computed, html } from "../html.js";
import { control } from "../station/control.js";
import { connection } from "../station/state.js";
import { stateOf } from "./interlocks.js";
import { active, waitText } from "./runs.js";
import { isSafe, valves, wordFor } from "./told.js";

function apart() {
  return valves.value.filter((valve) => !isSafe(valve));
}

function openText(list) {
  const word = (valve) => `${valve.value === valve.told ? "" : "→ "}${wordFor(valve, valve.told)}`;
  return list.map((valve) => `${valve.name} ${word(valve)}`).join(" · ");
}

function tripped(status) {
  return status.interlocks.filter((lock) => lock.kind === "trip" && lock.state === "tripped");
}

/** That it is stopped is said above; here is what that came to. */
function stoppedFacts(open) {
  if (open.length) return { tone: "danger", word: "NOT SAFE", text: `stopped, and yet: ${openText(open)}` };
  return { tone: "safe", word: "SAFE", text: "stopped, and every valve is in its safe state" };
}

function runFacts(run) {
  const word = { paused: "PAUSED", ending: "ENDING" }[run.state] ?? "RUNNING";
  const tone = run.state === "running" ? "run" : "wait";
  const text = [run.sequence, waitText(run)].filter(Boolean).join(" · ");
  return { tone, word, text, more: openText(apart()) || "all valves in their safe state" };
}

/** `{ tone, word, text }`, the gravest thing first. */
const state = computed(() => {
  const status = control.value;
  if (!status) return { tone: "wait", word: "…", text: "asking the station" };
  const open = apart();
  if (status.stopped) return stoppedFacts(open);
  const locks = tripped(status);
  if (locks.length) {
    const say = (lock) => [`${lock.name} (${stateOf(lock)})`, lock.message].filter(Boolean).join(": ");
    const text = locks.map(say);
    return { tone: "danger", word: "TRIPPED", text: text.join(" · ") };
  }
  if (active.value) return runFacts(active.value);
  const armed = status.armed ?? [];
  if (armed.length) {
    return { tone: "danger", word: "ARMED", text: armed.map(({ target }) => target).join(" · ") };
  }
  if (open.length) return { tone: "open", word: "NOT SAFE", text: openText(open) };
  return { tone: "safe", word: "SAFE", text: `all ${valves.value.length} valves in their safe state` };
});

export function Headline() {
  const { tone, word, text, more } = state.value;
  const lost = connection.value.state !== "live";
  return html`
    <section
      class="board board--${tone}"
      aria-label="State of the stand"
      aria-live="polite"
      data-test="headline">
      <p class="board__word">${word}</p>
      <p class="board__text">
        ${text}${more && html`<small>${more}</small>`}
        ${lost && html`<small>No live connection: values may be old.</small>`}
      </p>
    </section>
  `;
}
