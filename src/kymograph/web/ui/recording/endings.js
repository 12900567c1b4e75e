// How a recording ended, as a badge.
import { html } from "../html.js";

const ENDINGS = {
  recording: ["running", "recording"],
  stop: ["good", "stopped"],
  crash: ["bad", "cut by a crash"],
  "disk full": ["bad", "disk full"],
  "disk failed": ["bad", "disk failed"],
};

export function Ending({ ended }) {
  const [kind, words] = ENDINGS[ended] ?? ["bad", ended];
  return html`<span class="badge badge--${kind}"><i class="dot" aria-hidden="true"></i>${words}</span>`;
}
