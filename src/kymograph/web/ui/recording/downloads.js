// Links to a recording in each format, whole or a part of it; the station names the files.
import { html } from "../html.js";
import { toNs } from "../format.js";
import { Icon } from "../shell/icons.js";
import { exportAddress } from "../station/api.js";
import { formats } from "../station/state.js";

export function Download({ href, children, className = "button" }) {
  return html`<a class=${className} href=${href} download><${Icon} name="download" />${children}</a>`;
}

/** `stream` limits it to one, several come as a zip; `range` is `[start, stop]` in seconds, null is all. */
export function Downloads({ recording, stream, range }) {
  const part = range ? { start: toNs(range[0]), stop: toNs(range[1]) } : {};
  return html`
    <div
      class="row"
      role="group"
      aria-label="Download ${range ? "the part that is shown" : "the whole recording"}">
      ${formats.value.map(
        ({ name, label }) => html`
          <${Download} key=${name} href=${exportAddress(recording.id, { format: name, stream, ...part })}
            >${label ?? name}<//
          >
        `,
      )}
    </div>
  `;
}
