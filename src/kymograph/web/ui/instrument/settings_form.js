// The settings of an instrument and the commands its driver knows, as forms.
import { html, useState } from "../html.js";
import { api } from "../station/api.js";
import { control, order } from "../station/control.js";
import { attempt } from "../station/state.js";
import { toast } from "../shell/toasts.js";
import { SchemaForm } from "./schema_form.js";

/** The address of a real device may be changed while the station runs. */
function Port({ detail, onChanged }) {
  const [port, setPort] = useState(detail.port);
  const [busy, setBusy] = useState(false);
  const save = async (event) => {
    event.preventDefault();
    setBusy(true);
    const answer = await attempt(api.configure(detail.name, {}, port.trim()));
    setBusy(false);
    if (!answer) return;
    toast({ kind: "good", title: `${detail.name} is at ${answer.port}.` });
    onChanged();
  };
  return html`
    <form class="form" onSubmit=${save}>
      <div class="field">
        <label for="settings-of-port">address</label>
        <input
          id="settings-of-port"
          value=${port}
          onInput=${(event) => setPort(event.target.value)}
          autocomplete="off"
          spellcheck="false" />
        <small>serial:///dev/ttyUSB0?baud=9600, or tcp://host:port</small>
      </div>
      <div class="row">
        <button class="button" disabled=${busy || !port.trim() || port === detail.port}>
          Use this address
        </button>
      </div>
    </form>
  `;
}

export function Settings({ detail, onChanged }) {
  const save = async (options) => {
    const answer = await attempt(api.configure(detail.name, options));
    if (!answer) return undefined;
    toast({ kind: "good", title: `Settings of ${detail.name} are in use.` });
    onChanged();
    return answer;
  };
  const empty = !Object.keys(detail.options_schema?.properties ?? {}).length;
  return html`
    <section class="panel" aria-label="Settings">
      <h2>Settings</h2>
      ${
        empty
          ? html`<p class="quiet">This instrument has nothing to set.</p>`
          : html`<${SchemaForm}
              id="settings"
              schema=${detail.options_schema}
              values=${detail.options}
              verb="Use these settings"
              present=${detail.device}
              changesOnly
              onSubmit=${save} />`
      }
      ${detail.port && !detail.simulated && html`<${Port} detail=${detail} onChanged=${onChanged} />`}
    </section>
  `;
}

/** What moves something is told under the lease of who is at this page, and never takes one by the way. */
function orderFor(instrument) {
  const moving = control.peek()?.actuators.some((one) => one.instrument === instrument);
  return moving ? order() : {};
}

function Command({ instrument, command }) {
  const [result, setResult] = useState(null);
  const run = async (values) => {
    const answer = await attempt(api.command(instrument, command.name, values, orderFor(instrument)));
    if (answer === undefined) return undefined;
    setResult(answer);
    return answer ?? true;
  };
  return html`
    <details class="command">
      <summary>
        <b>${command.name.replaceAll("_", " ")}</b
        >${command.description && html`<small>${command.description}</small>`}
      </summary>
      <${SchemaForm} id=${`command-${command.name}`} schema=${command.arguments} verb="Run" onSubmit=${run} />
      ${
        result !== null &&
        html`<pre class="answer" aria-live="polite">${JSON.stringify(result.result ?? result, null, 2)}</pre>`
      }
    </details>
  `;
}

export function Commands({ detail }) {
  if (!detail.commands?.length) return null;
  return html`
    <section class="panel" aria-label="Commands">
      <h2>Commands</h2>
      ${
        detail.state === "closed" &&
        html`<p class="quiet">The instrument is closed; a command would be refused.</p>`
      }
      ${detail.commands.map(
        (command) => html`<${Command} key=${command.name} instrument=${detail.name} command=${command} />`,
      )}
    </section>
  `;
}
