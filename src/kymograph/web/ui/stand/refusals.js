// What the station would not do, kept where it was asked for until it is read or something else succeeds.
import { signal } from "../html.js";
import { html } from "../html.js";
import { Icon } from "../shell/icons.js";

/** A place for refusals: `say(what, problem)`, `clear()`, and a signal `last`. */
export function refusals() {
  const last = signal(null);
  return {
    last,
    say: (what, problem) => (last.value = { what, text: problem.message, hint: problem.hint, problem }),
    clear: () => (last.value = null),
  };
}

/** The refusal of a place, with what can be done about it as children. */
export function Refusal({ of, children }) {
  const last = of.last.value;
  if (!last) return null;
  return html`
    <div class="refusal" role="alert" data-test="refusal">
      <${Icon} name="alert" />
      <p><b>${last.what}</b> ${last.text}${last.hint && html`<small>${last.hint}</small>`}</p>
      ${children}
      <button class="button button--bare" aria-label="Dismiss" onClick=${of.clear}><${Icon} name="close" /></button>
    </div>
  `;
}
