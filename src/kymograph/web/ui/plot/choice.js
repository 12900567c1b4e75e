// A row of buttons of which one is on.
import { html } from "../html.js";

/** `options` are `[value, text]` pairs. */
export function Choice({ label, options, value, onChange }) {
  return html`
    <div class="choice" role="radiogroup" aria-label=${label}>
      ${options.map(
        ([one, text]) => html`
          <button
            key=${one}
            role="radio"
            aria-checked=${one === value}
            class="choice__one"
            onClick=${() => onChange(one)}>
            ${text}
          </button>
        `,
      )}
    </div>
  `;
}
