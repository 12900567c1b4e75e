// A form made from a JSON schema, as pydantic writes it: settings of an instrument, arguments of a command.
import { html, useEffect, useState } from "../html.js";

/** Follow `$ref`, and look through `anyOf` with null: what kind of value is this, and may it be empty? */
function resolve(schema, defs) {
  if (schema.$ref) return resolve({ ...defs[schema.$ref.split("/").pop()], ...omit(schema, "$ref") }, defs);
  if (schema.allOf?.length === 1) return resolve({ ...schema.allOf[0], ...omit(schema, "allOf") }, defs);
  const choices = schema.anyOf ?? schema.oneOf;
  if (!choices) return { ...schema, optional: false };
  const real = choices.filter((one) => one.type !== "null");
  const first = resolve({ ...real[0], ...omit(schema, "anyOf", "oneOf") }, defs);
  return { ...first, optional: real.length < choices.length };
}

function omit(object, ...names) {
  return Object.fromEntries(Object.entries(object).filter(([name]) => !names.includes(name)));
}

function kindOf(schema) {
  if (schema.enum || schema.const !== undefined) return "choice";
  if (["integer", "number", "boolean", "string"].includes(schema.type)) return schema.type;
  return "json";
}

/** Write a value into the text of a field. */
function asText(kind, value) {
  if (value === null || value === undefined) return "";
  if (kind === "json") return JSON.stringify(value);
  return String(value);
}

/** Read a field's text; throws with a sentence where it cannot be. */
function fromText(kind, text, { schema, name }) {
  if (text === "" && schema.optional) return null;
  if (kind === "boolean") return text === "true";
  if (kind === "choice") return schema.enum.find((one) => String(one) === text);
  if (kind === "json") {
    try {
      return JSON.parse(text);
    } catch {
      throw new Error(`${name} is not valid JSON`);
    }
  }
  if (kind === "string") return text;
  const value = Number(text);
  if (text === "" || Number.isNaN(value)) throw new Error(`${name} is not a number`);
  return value;
}

function bounds(schema) {
  const low = schema.minimum ?? schema.exclusiveMinimum;
  const high = schema.maximum ?? schema.exclusiveMaximum;
  if (low === undefined && high === undefined) return "";
  if (high === undefined) return `from ${low}`;
  return low === undefined ? `up to ${high}` : `${low} to ${high}`;
}

function Input({ id, kind, schema, text, present, onText }) {
  const unset =
    present === undefined || present === null || present === "" ? "not set" : `as it is: ${present}`;
  const typed = (event) => onText(event.target.value);
  if (kind === "boolean") {
    return html`<input
      id=${id}
      type="checkbox"
      role="switch"
      checked=${text === "true"}
      onChange=${(e) => onText(String(e.target.checked))} />`;
  }
  if (kind === "choice") {
    const values = schema.enum ?? [schema.const];
    return html`
      <select id=${id} value=${text} onChange=${typed}>
        ${schema.optional && html`<option value="" selected=${text === ""}>${unset}</option>`}
        ${values
          .map(String)
          .map((one) => html`<option key=${one} value=${one} selected=${one === text}>${one}</option>`)}
      </select>
    `;
  }
  const numeric = kind === "integer" || kind === "number";
  return html`
    <input
      id=${id}
      type=${numeric ? "number" : "text"}
      step=${kind === "integer" ? 1 : "any"}
      value=${text}
      onInput=${typed}
      placeholder=${schema.optional ? unset : ""}
      min=${schema.minimum}
      max=${schema.maximum}
      autocomplete="off" />
  `;
}

function Field({ id, name, schema, text, present, problem, onText }) {
  const kind = kindOf(schema);
  const note = [schema.description, bounds(schema)].filter(Boolean).join(" · ");
  return html`
    <div class="field ${kind === "boolean" ? "field--switch" : ""}">
      <label for=${id}>${name.replaceAll("_", " ")}</label>
      <${Input} ...${{ id, kind, schema, text, present, onText }} />
      ${note && html`<small>${note}</small>`}
      ${problem && html`<small class="wrong" role="alert" data-problem=${name}>${problem}</small>`}
    </div>
  `;
}

/** Each property as a field: its kind, the text it had, and the text it has now. */
function fieldsOf(schema, values, edited) {
  return Object.entries(schema?.properties ?? {}).map(([name, raw]) => {
    const resolved = resolve(raw, schema.$defs ?? {});
    const kind = kindOf(resolved);
    const before = asText(kind, values[name] ?? resolved.default);
    return { name, schema: resolved, kind, before, text: edited[name] ?? before };
  });
}

/** What the fields hold, as values, and why some of them hold none: `{ values, faults }`, both by name. */
function read(fields) {
  const values = {};
  const faults = {};
  for (const field of fields) {
    try {
      values[field.name] = fromText(field.kind, field.text, field);
    } catch (error) {
      faults[field.name] = error.message;
    }
  }
  return { values, faults };
}

function isFilled({ text, kind }) {
  return text !== "" || kind === "string";
}

/** Tell what is filled in, at first and whenever it becomes something else. */
function useDraft(fields, onDraft) {
  useEffect(
    () => onDraft?.(read(fields.filter(isFilled))),
    [fields.map(({ name, text }) => [name, text].join("=")).join("\n")],
  );
}

/**
 * `values` fills the fields; `onSubmit(values)` is given what differs from them (`changesOnly`) or all that
 * is filled in. `present` is what is in use where a value is left open, by name. `onDraft({ values, faults })`
 * is told what is filled in as it is typed; `problems` are shown at their fields, by name.
 */
export function SchemaForm({ id, schema, values = {}, changesOnly = false, onSubmit, ...more }) {
  const { present, problems, verb, onDraft } = more;
  const [edited, setEdited] = useState({});
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  const fields = fieldsOf(schema, values, edited);
  const changed = fields.filter(({ text, before }) => text !== before);
  useDraft(fields, onDraft);
  const submit = async (event) => {
    event.preventDefault();
    const { values: answer, faults } = read(changesOnly ? changed : fields.filter(isFilled));
    setWrong(Object.values(faults)[0] ?? "");
    if (Object.keys(faults).length) return;
    setBusy(true);
    try {
      if ((await onSubmit(answer)) !== undefined) setEdited({});
    } catch (error) {
      setWrong(error.message);
    }
    setBusy(false);
  };
  return html`
    <form class="form" onSubmit=${submit} novalidate>
      ${fields.map(
        ({ name, schema: own, text }) => html`
          <${Field}
            key=${name}
            id=${`${id}-${name}`}
            name=${name}
            schema=${own}
            text=${text}
            present=${present?.[name]}
            problem=${problems?.[name]}
            onText=${(next) => setEdited({ ...edited, [name]: next })} />
        `,
      )}
      ${wrong && html`<p class="wrong" role="alert">${wrong}</p>`}
      <div class="row">
        <button class="button button--main" disabled=${busy || (changesOnly && !changed.length)}>
          ${busy ? html`<i class="spinner" aria-hidden="true"></i>Working…` : verb}
        </button>
        ${
          changesOnly &&
          changed.length > 0 &&
          html`<button type="button" class="button" onClick=${() => setEdited({})}>Undo</button>`
        }
      </div>
    </form>
  `;
}
