// What the station would not do, shown where it was asked for.
import { html, signal } from "../html.js";
import { Icon } from "../shell/icons.js";

const SHOWN_MS = 20_000;

/** A place for refusals: `say(what, problem)`, `clear()`, and a signal `last`. */
export function refusals() {
  const last = signal(null);
  const say = (what, problem) => {
    const said = { what, text: problem.message, hint: problem.hint, problem };
    last.value = said;
    setTimeout(() => last.peek() === said && (last.value = null), SHOWN_MS);
  };
  return { last, say, clear: () => (last.value = null) };
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
      <button
        class="button button--bare"
        aria-label="Dismiss"
        onClick=${of.clear}><${Icon} name="close" /></button>
    </div>
  `;
}
