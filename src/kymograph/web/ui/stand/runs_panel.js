// Sequences: choose one, fill in its parameters, see what would happen, start it; and the runs there were.
import { html, signal, useEffect, useMemo, useState } from "../html.js";
import { SchemaForm } from "../instrument/schema_form.js";
import { controlApi } from "../station/control_api.js";
import { askControl, iHold, lease } from "../station/control.js";
import { person } from "../station/person.js";
import { Icon } from "../shell/icons.js";
import { ArmButton, armedOf, wantsArming } from "./arming.js";
import { byField, usePreview } from "./preview.js";
import { Refusal, refusals } from "./refusals.js";
import { RunLine, RunLive } from "./run_live.js";
import { active, isOver, noteRun, runs, sequences } from "./runs.js";
import { Timeline } from "./timeline.js";

const TYPES = { number: "number", integer: "integer", boolean: "boolean", text: "string" };
const refused = refusals();
const chosen = signal("");

/** The parameters of a sequence as a JSON schema, for the form. */
function schemaOf(parameters) {
  const properties = Object.entries(parameters ?? {}).map(([name, one]) => [
    name,
    {
      type: TYPES[one.type] ?? "string",
      default: one.default ?? undefined,
      minimum: one.low ?? undefined,
      maximum: one.high ?? undefined,
      description: [one.description, one.unit && `in ${one.unit}`].filter(Boolean).join(", "),
    },
  ]);
  return { type: "object", properties: Object.fromEntries(properties) };
}

/** The chosen sequence with its timeline. */
function useSequence(name) {
  const [found, setFound] = useState(null);
  useEffect(() => {
    let wanted = true;
    setFound(null);
    if (name) controlApi.sequence(name).then((answer) => wanted && setFound(answer), () => undefined);
    return () => (wanted = false);
  }, [name]);
  return found;
}

async function start(name, parameters, keep) {
  refused.clear();
  const fence = iHold.peek() ? lease.peek().fence : 0;
  try {
    noteRun(await controlApi.startRun({ sequence: name, parameters, by: person.peek(), fence, keep }));
    askControl();
    return true;
  } catch (problem) {
    const checked = await controlApi.validate(name, parameters).catch(() => null);
    const why = checked?.problems?.length ? [faultsText(checked.problems)] : [];
    problem.hint = [problem.hint, ...why].filter(Boolean).join(" · ");
    refused.say(`${name} was not started:`, problem);
    return undefined;
  }
}

/** Say what is wrong in a sequence, each with its line. */
function faultsText(problems) {
  return problems.map(({ line, reason }) => (line ? `line ${line}: ${reason}` : reason)).join("; ");
}

function Problems({ of }) {
  if (!of.length) return null;
  return html`<p class="fault"><${Icon} name="alert" /><span>${faultsText(of)}</span></p>`;
}

function Keep({ keep, setKeep }) {
  return html`
    <label class="keep">
      <input
        type="checkbox"
        role="switch"
        checked=${keep}
        onChange=${(event) => setKeep(event.target.checked)} />
      <span>Goes on without me: the run keeps control by itself</span>
    </label>
  `;
}

function Fill({ found }) {
  const { name, parameters } = found;
  const [keep, setKeep] = useState(false);
  const [draft, setDraft] = useState(null);
  const { problems, timeline, old } = usePreview(found, draft);
  const { fields, rest } = byField(problems, parameters);
  const schema = useMemo(() => schemaOf(parameters), [parameters]);
  const target = `sequence/${name}`;
  return html`
    <div class="sequence" data-sequence=${name}>
      <p>${found.description}</p>
      <${Problems} of=${rest} />
      <${Keep} keep=${keep} setKeep=${setKeep} />
      <${SchemaForm}
        id="sequence"
        schema=${schema}
        verb="Start ${name}"
        problems=${{ ...fields, ...draft?.faults }}
        onDraft=${setDraft}
        onSubmit=${(values) => start(name, values, keep)} />
      <${Refusal} of=${refused}>
        ${wantsArming(refused.last.value?.problem) && !armedOf(target) && html`<${ArmButton}
          target=${target}
          onArmed=${refused.clear} />`}
      <//>
      ${armedOf(target) && html`<p class="armed__note">${target} is armed: Start executes it.</p>`}
      <div class=${old ? "timeline--old" : ""} data-test="preview-steps"><${Timeline} steps=${timeline} /></div>
    </div>
  `;
}

function Chosen({ name }) {
  const found = useSequence(name);
  if (!found) return html`<p class="quiet">Asking for ${name}…</p>`;
  return html`<${Fill} key=${name} found=${found} />`;
}

function Choose({ list }) {
  return html`
    <div class="chips" role="group" aria-label="Sequences">
      ${list.map(
        ({ name, problems }) => html`
          <button
            key=${name}
            class="chip ${problems?.length ? "chip--bad" : ""}"
            aria-pressed=${chosen.value === name}
            onClick=${() => (refused.clear(), (chosen.value = chosen.value === name ? "" : name))}>
            ${name}
          </button>
        `,
      )}
    </div>
  `;
}

export function RunsPanel() {
  const list = sequences.value;
  const run = active.value;
  const over = runs.value.filter(isOver);
  if (list === null && !runs.value.length) return null;
  return html`
    <section class="panel runs" aria-label="Runs">
      <h2>Runs</h2>
      ${run && html`<${RunLive} run=${run} />`}
      ${!run && list && html`<${Choose} list=${list} />`}
      ${!run && chosen.value && html`<${Chosen} name=${chosen.value} />`}
      ${over.length > 0 && html`<ol
        class="runlines"
        aria-label="Last runs">${over.map((one) => html`<${RunLine} key=${one.id} run=${one} />`)}</ol>`}
    </section>
  `;
}
