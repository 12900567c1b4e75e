// Links to a recording in each format, whole or a part of it.
import { html } from "../html.js";
import { toNs } from "../format.js";
import { Icon } from "../shell/icons.js";
import { exportAddress } from "../station/api.js";
import { formats } from "../station/state.js";
import { FORMAT_WORDS } from "./record_panel.js";

const SUFFIX = { hdf5: "h5" };

export function Download({ href, filename, children, className = "button" }) {
  return html`<a class=${className} href=${href} download=${filename}><${Icon} name="download" />${children}</a>`;
}

/** `range` is `[start, stop]` in seconds, or null for all of it. */
export function Downloads({ recording, stream, range }) {
  const several = recording.streams.length > 1;
  const part = range ? { start: toNs(range[0]), stop: toNs(range[1]) } : {};
  const base = [recording.name, several && stream, range && "part"].filter(Boolean).join("-");
  return html`
    <div class="row" role="group" aria-label="Download ${range ? "the part that is shown" : "the whole recording"}">
      ${formats.value.map(
        (format) => html`
          <${Download} key=${format} filename=${`${base}.${SUFFIX[format] ?? format}`}
            href=${exportAddress(recording.id, { format, stream: several ? stream : undefined, ...part })}>
            ${FORMAT_WORDS[format] ?? format}
          <//>
        `,
      )}
    </div>
  `;
}
