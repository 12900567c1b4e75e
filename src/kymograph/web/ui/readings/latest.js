// The values of one reading, sensor by sensor; the error of a sensor in its place.
import { html } from "../html.js";
import { Icon } from "../shell/icons.js";
import { leaves, readingText } from "./fields.js";

function Value({ name, unit, value }) {
  return html`
    <div class="big">
      <span class="big__name">${name}</span>
      <span class="big__value"><b>${readingText(value)}</b> ${unit}</span>
    </div>
  `;
}

function Failed({ name, error }) {
  return html`
    <p class="fault latest__fault">
      <${Icon} name="alert" /><span><b>${name}</b><small>${error}</small></span>
    </p>
  `;
}

export function Latest({ payload, old = false }) {
  return html`
    <div class="latest ${old ? "latest--old" : ""}" data-test="latest">
      ${leaves(payload).map((leaf) =>
        leaf.error
          ? html`<${Failed} key=${leaf.path} ...${leaf} />`
          : html`<${Value} key=${leaf.path} ...${leaf} />`,
      )}
    </div>
  `;
}
