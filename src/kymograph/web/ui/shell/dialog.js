// A question that has to be answered before going on: the browser's own dialog, so that keys and focus are
// right.
import { html, useEffect, useRef } from "../html.js";

export function Confirm({ title, children, verb, onYes, onNo }) {
  const box = useRef(null);
  useEffect(() => {
    box.current.showModal();
  }, []);
  return html`
    <dialog class="dialog" ref=${box} onClose=${onNo} aria-label=${title}>
      <h2>${title}</h2>
      <div class="dialog__text">${children}</div>
      <div class="row row--end">
        <button class="button" autofocus onClick=${() => box.current.close()}>Keep it</button>
        <button class="button button--danger" onClick=${onYes} data-test="confirm">${verb}</button>
      </div>
    </dialog>
  `;
}
