// Settings of this browser: the key, the theme; and what this station is.
import { html, useEffect, useState } from "../html.js";
import { moment } from "../format.js";
import { Choice } from "../plot/choice.js";
import { setTheme, theme } from "../shell/theme.js";
import { toast } from "../shell/toasts.js";
import { session } from "../station/session.js";
import { attempt, enter, station } from "../station/state.js";

const MAY = { read: "see data", record: "record", control: "control instruments", admin: "administer" };

function Who() {
  const { name, scopes, key_needed: more } = session.value;
  if (!scopes.length) return html`<p class="quiet">Without a key this station shows nothing.</p>`;
  return html`
    <p class="quiet">
      ${name && name !== "local" ? html`Here as <b>${name}</b>: you may ` : "You may "}
      ${scopes.map((scope) => MAY[scope] ?? scope).join(", ")}.${more && " A key can open more."}
    </p>
  `;
}

function KeyForm() {
  const [text, setText] = useState("");
  const use = async (key) => {
    const done = await attempt(enter(key).then(() => true));
    if (!done) return;
    setText("");
    toast({ kind: "good", title: key ? "The key is in use in this browser." : "The key is forgotten." });
  };
  const submit = (event) => {
    event.preventDefault();
    use(text.trim());
  };
  const named = session.value?.name && session.value.name !== "local";
  return html`
    <section class="panel" aria-label="Access">
      <h2>Access</h2>
      ${session.value && html`<${Who} />`}
      <form class="form" onSubmit=${submit}>
        <div class="field">
          <label for="key">Key</label>
          <input
            id="key"
            type="password"
            value=${text}
            onInput=${(e) => setText(e.target.value)}
            autocomplete="off"
            spellcheck="false" />
          <small
            >Made on the station with <code>kymograph key add</code>. The page keeps no copy of it.</small
          >
        </div>
        <div class="row">
          <button class="button button--main" disabled=${!text.trim()}>Use this key</button>
          ${named && html`<button type="button" class="button" onClick=${() => use("")}>Forget it</button>`}
        </div>
      </form>
    </section>
  `;
}

function About() {
  const is = station.value;
  if (!is) return null;
  return html`
    <section class="panel" aria-label="About">
      <h2>This station</h2>
      <dl class="list">
        <div>
          <dt>name</dt>
          <dd>${is.name}</dd>
        </div>
        <div>
          <dt>id</dt>
          <dd class="code">${is.id}</dd>
        </div>
        <div>
          <dt>Kymograph</dt>
          <dd>${is.version}</dd>
        </div>
        <div>
          <dt>running since</dt>
          <dd>${moment(is.started_ns)}</dd>
        </div>
        <div>
          <dt>interface</dt>
          <dd><a href="docs">API reference</a></dd>
        </div>
      </dl>
    </section>
  `;
}

export function Page() {
  useEffect(() => {
    document.title = "Settings · Kymograph";
  }, []);
  return html`
    <div class="title"><h1>Settings</h1></div>
    <div class="cards cards--settings">
      <${KeyForm} />
      <section class="panel" aria-label="Appearance">
        <h2>Appearance</h2>
        <${Choice}
          label="Theme"
          options=${[
            ["auto", "as the system"],
            ["dark", "dark"],
            ["light", "light"],
          ]}
          value=${theme.value}
          onChange=${setTheme} />
        <h3>Keys</h3>
        <dl class="list">
          <div>
            <dt><kbd>M</kbd></dt>
            <dd>mark this moment in what is being recorded</dd>
          </div>
        </dl>
      </section>
      <${About} />
    </div>
  `;
}
