// Who is at this page: asked once, and changed here.
import { html, useRef } from "../html.js";
import { callMe, keyName, person } from "../station/person.js";

const NAME_MAX = 60;

/** Asks for a name; `onName` is called when there is one. */
export function NameForm({ onName, verb = "That is me" }) {
  const field = useRef(null);
  const use = (event) => {
    event.preventDefault();
    const name = field.current.value.trim();
    if (!name) return;
    callMe(name);
    onName?.();
  };
  return html`
    <form class="nameform" onSubmit=${use}>
      <label for="person">Your name, for everyone to see</label>
      <div class="nameform__row">
        <input
          id="person"
          ref=${field}
          maxlength=${NAME_MAX}
          defaultValue=${person.peek()}
          autocomplete="nickname"
          data-test="person" />
        <button class="button button--main">${verb}</button>
      </div>
    </form>
  `;
}

/** Whether the name can be changed at all: that of a key cannot. */
export function canRename() {
  return !keyName.value;
}
