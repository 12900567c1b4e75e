// What a person wrote about a recording: notes, and names with values.
import { html, useState } from "../html.js";
import { Icon } from "../shell/icons.js";
import { toast } from "../shell/toasts.js";
import { api } from "../station/api.js";
import { attempt } from "../station/state.js";

function textOf(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function Row({ name, value, onRemove }) {
  return html`
    <div class="meta">
      <dt>${name.replaceAll("_", " ")}</dt>
      <dd>${textOf(value)}</dd>
      <button class="button button--bare" aria-label="Remove ${name}" onClick=${onRemove}>
        <${Icon} name="close" />
      </button>
    </div>
  `;
}

function Adder({ onAdd }) {
  const [name, setName] = useState("");
  const [value, setValue] = useState("");
  const add = async (event) => {
    event.preventDefault();
    if (!name.trim()) return;
    if (await onAdd(name.trim(), value)) {
      setName("");
      setValue("");
    }
  };
  return html`
    <form class="adder" onSubmit=${add}>
      <input
        aria-label="Name of a new entry"
        placeholder="operator"
        value=${name}
        onInput=${(e) => setName(e.target.value)} />
      <input
        aria-label="Its value"
        placeholder="Anna"
        value=${value}
        onInput=${(e) => setValue(e.target.value)} />
      <button class="button" disabled=${!name.trim()}>Add</button>
    </form>
  `;
}

export function Metadata({ recording, onChanged }) {
  const kept = recording.metadata ?? {};
  const [notes, setNotes] = useState(kept.notes ?? "");
  const change = async (metadata) => {
    const answer = await attempt(api.annotate(recording.id, metadata));
    if (answer) onChanged(answer);
    return answer;
  };
  const keepNotes = async () => {
    if (await change({ notes: notes || null })) toast({ kind: "good", title: "Notes kept" });
  };
  const others = Object.entries(kept).filter(([name]) => name !== "notes");
  return html`
    <div class="field">
      <label for="notes">Notes</label>
      <textarea
        id="notes"
        rows="3"
        value=${notes}
        onInput=${(e) => setNotes(e.target.value)}
        placeholder="What should one know of this recording in a year?" />
    </div>
    <button class="button" disabled=${notes === (kept.notes ?? "")} onClick=${keepNotes}>Keep notes</button>
    <dl class="metas">
      ${others.map(([name, value]) => {
        const remove = () => change({ [name]: null });
        return html`<${Row} key=${name} name=${name} value=${value} onRemove=${remove} />`;
      })}
    </dl>
    <${Adder} onAdd=${(name, value) => change({ [name]: value })} />
  `;
}
