// A question that has to be answered before going on.
//
// Never `showModal()`: the browser puts such a dialog above everything there is and makes all the rest inert,
// and STOP ALL has to be reached from everywhere. So the veil lies below it, and Tab goes round through the
// dialog's buttons and STOP ALL.
import { html, useEffect, useRef } from "../html.js";

const REACHED = "button, a[href], input, select, textarea, [tabindex='0']";

function stops(box) {
  const always = document.querySelectorAll("[data-always]");
  return [...box.querySelectorAll(REACHED), ...always].filter(
    (node) => !node.disabled && node.getClientRects().length,
  );
}

function goRound(event, box) {
  const nodes = stops(box);
  const at = nodes.indexOf(document.activeElement);
  const next = (at + (event.shiftKey ? -1 : 1) + nodes.length) % nodes.length;
  event.preventDefault();
  nodes[next]?.focus();
}

/** Keep the keys with the dialog while it is open, and give the focus back afterwards. */
function useHeldFocus(box, onLeave) {
  const leave = useRef(onLeave);
  leave.current = onLeave;
  useEffect(() => {
    const before = document.activeElement;
    (box.current.querySelector("[autofocus]") ?? stops(box.current)[0])?.focus();
    const pressed = (event) => {
      if (event.key === "Tab") goRound(event, box.current);
      if (event.key === "Escape") leave.current();
    };
    document.addEventListener("keydown", pressed);
    return () => {
      document.removeEventListener("keydown", pressed);
      before?.focus?.();
    };
  }, []);
}

/** A box over the page; `onLeave` is called for Escape and for a press beside it. */
export function Dialog({ title, children, onLeave }) {
  const box = useRef(null);
  useHeldFocus(box, onLeave);
  return html`
    <div class="veil" onClick=${(event) => event.target === event.currentTarget && onLeave()}>
      <div class="dialog" ref=${box} role="dialog" aria-modal="true" aria-label=${title}>
        <h2>${title}</h2>
        ${children}
      </div>
    </div>
  `;
}

export function Confirm({ title, children, verb, onYes, onNo }) {
  return html`
    <${Dialog} title=${title} onLeave=${onNo}>
      <div class="dialog__text">${children}</div>
      <div class="row row--end">
        <button class="button" autofocus onClick=${onNo}>Keep it</button>
        <button class="button button--danger" onClick=${onYes} data-test="confirm">${verb}</button>
      </div>
    <//>
  `;
}
