// Settings of this browser: the key, the theme; and what this station is.
import { html, useEffect, useState } from "../html.js";
import { moment } from "../format.js";
import { Choice } from "../plot/choice.js";
import { setTheme, theme } from "../shell/theme.js";
import { toast } from "../shell/toasts.js";
import { key, setKey } from "../station/key.js";
import { needsKey, refreshAll, station } from "../station/state.js";

function KeyForm() {
  const [text, setText] = useState(key.value);
  const keep = async (event) => {
    event.preventDefault();
    setKey(text);
    await refreshAll();
    if (needsKey.value) toast({ kind: "bad", title: "The station does not know this key.", hint: "`kymograph key ls` lists keys by name." });
    else toast({ kind: "good", title: text ? "The key is in use for this tab." : "The key is forgotten." });
  };
  return html`
    <section class="panel" aria-label="Access">
      <h2>Access</h2>
      <p class="quiet">
        ${needsKey.value ? "This station asks for a key." : "On the station itself no key is needed; from elsewhere one may be."}
        ${" "}A key is made with <code>kymograph key add</code>. It is kept for this tab only.
      </p>
      <form class="form" onSubmit=${keep}>
        <div class="field">
          <label for="key">Key</label>
          <input id="key" type="password" value=${text} onInput=${(e) => setText(e.target.value)} autocomplete="off" spellcheck="false" />
        </div>
        <div class="row">
          <button class="button button--main">Use this key</button>
          ${key.value && html`<button type="button" class="button" onClick=${() => (setText(""), setKey(""))}>Forget it</button>`}
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
        <div><dt>name</dt><dd>${is.name}</dd></div>
        <div><dt>id</dt><dd class="code">${is.id}</dd></div>
        <div><dt>Kymograph</dt><dd>${is.version}</dd></div>
        <div><dt>running since</dt><dd>${moment(is.started_ns)}</dd></div>
        <div><dt>interface</dt><dd><a href="docs">API reference</a></dd></div>
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
        <${Choice} label="Theme" options=${[["auto", "as the system"], ["dark", "dark"], ["light", "light"]]} value=${theme.value} onChange=${setTheme} />
        <h3>Keys</h3>
        <dl class="list"><div><dt><kbd>M</kbd></dt><dd>mark this moment in what is being recorded</dd></div></dl>
      </section>
      <${About} />
    </div>
  `;
}
