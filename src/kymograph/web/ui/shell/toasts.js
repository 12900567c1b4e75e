// Short messages at the edge of the page; what went wrong stays until it is read.
import { html, signal } from "../html.js";
import { Icon } from "./icons.js";

const SHOWN_MS = 5000;
const KEPT = 4;

const toasts = signal([]);
let lastId = 0;

function dismiss(id) {
  toasts.value = toasts.value.filter((one) => one.id !== id);
}

/** Show `{ kind: "good" | "bad", title, hint }`. */
export function toast(message) {
  const id = ++lastId;
  const others = toasts.value.filter((one) => one.title !== message.title);
  toasts.value = [...others, { ...message, id }].slice(-KEPT);
  if (message.kind !== "bad") setTimeout(() => dismiss(id), SHOWN_MS);
}

/** Show what the station said when it could not do something. */
export function toastProblem(problem) {
  toast({ kind: "bad", title: problem.message, hint: problem.hint });
}

export function Toasts() {
  return html`
    <div class="toasts" role="region" aria-label="Messages" aria-live="polite">
      ${toasts.value.map(
        ({ id, kind, title, hint }) => html`
          <div key=${id} class="toast toast--${kind}" role=${kind === "bad" ? "alert" : "status"}>
            <${Icon} name=${kind === "bad" ? "alert" : "check"} />
            <div class="toast__text">
              <strong>${title}</strong>
              ${hint && html`<span>${hint}</span>`}
            </div>
            <button class="button button--bare" aria-label="Dismiss" onClick=${() => dismiss(id)}>
              <${Icon} name="close" />
            </button>
          </div>
        `,
      )}
    </div>
  `;
}
