// A mark: one key, the moment kept as it was pressed, a few words if there is time for them.
import { html, signal, useEffect, useRef } from "../html.js";
import { timeOfDay } from "../format.js";
import { toast } from "../shell/toasts.js";
import { Icon } from "../shell/icons.js";
import { api } from "../station/api.js";
import { attempt, recorders, stationNow } from "../station/state.js";

/** The moment (s) of the mark that is being written, or null. */
const open = signal(null);

/** Begin a mark at this moment, where something is being recorded. */
export function beginMark() {
  if (!recorders.peek().length) {
    toast({
      kind: "bad",
      title: "Nothing is being recorded.",
      hint: "A mark belongs to a recording; start one first.",
    });
    return;
  }
  open.value = stationNow();
}

async function keep(text) {
  const body = { text: text || "mark", time_ns: Math.round(open.peek() * 1e6) * 1000 };
  const time = timeOfDay(open.peek(), 1);
  open.value = null;
  const all = recorders.peek().map((one) => attempt(api.mark(one.recording_id, body)));
  const kept = (await Promise.all(all)).filter(Boolean).length;
  if (kept) toast({ kind: "good", title: `Marked ${time}`, hint: body.text });
}

function isTyping({ target, ctrlKey, metaKey, altKey }) {
  return (
    ctrlKey || metaKey || altKey || target.closest?.("input, textarea, select, dialog, [contenteditable]")
  );
}

/** Listens for the key `m` while it is on the page. */
export function MarkField() {
  const field = useRef(null);
  useEffect(() => {
    const pressed = (event) => {
      if (event.key !== "m" || isTyping(event)) return;
      event.preventDefault();
      beginMark();
    };
    addEventListener("keydown", pressed);
    return () => removeEventListener("keydown", pressed);
  }, []);
  const moment = open.value;
  useEffect(() => field.current?.focus(), [moment]);
  if (moment === null) return null;
  const submit = (event) => {
    event.preventDefault();
    keep(field.current.value.trim());
  };
  return html`
    <form
      class="markfield"
      onSubmit=${submit}
      onKeyDown=${(event) => event.key === "Escape" && (open.value = null)}>
      <label for="mark-text"><${Icon} name="flag" />Mark at <b>${timeOfDay(moment, 1)}</b></label>
      <input
        id="mark-text"
        ref=${field}
        maxlength="500"
        placeholder="what happened? (Enter keeps it, Esc forgets it)"
        autocomplete="off" />
      <button class="button button--main">Keep</button>
    </form>
  `;
}
