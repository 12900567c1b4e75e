// One instrument, live: its views, its newest values, its health, its settings and commands.
import { html, useEffect, useState } from "../html.js";
import { Controls } from "../instrument/actions.js";
import { Fault } from "../instrument/card.js";
import { StateBadge } from "../instrument/doing.js";
import { Health } from "../instrument/health.js";
import { Polar } from "../instrument/polar.js";
import { isReading, Present } from "../instrument/present.js";
import { isScan } from "../instrument/scan.js";
import { Commands, Settings } from "../instrument/settings_form.js";
import { Values } from "../instrument/values.js";
import { StripChart } from "../plot/strip_chart.js";
import { MarkField } from "../recording/marks.js";
import { link } from "../shell/router.js";
import { Icon } from "../shell/icons.js";
import { api } from "../station/api.js";
import { attempt, instruments, streamsOf } from "../station/state.js";

/** The instrument with its options, schema and commands; asked again when its state changes. */
function useDetail(name, state) {
  const [detail, setDetail] = useState(null);
  const load = async () => {
    const answer = await attempt(api.instrument(name));
    if (answer) setDetail(answer);
  };
  useEffect(() => {
    load();
  }, [name, state]);
  return [detail, load];
}

function Missing({ name }) {
  if (instruments.value === null) return html`<p class="quiet">Asking the station…</p>`;
  return html`
    <section class="empty">
      <h1>There is no instrument ${name}</h1>
      <p>Instruments come from the station file. <a href=${link()}>See those that are there.</a></p>
    </section>
  `;
}

export function Page({ name }) {
  const instrument = instruments.value?.find((one) => one.name === name);
  const [detail, reload] = useDetail(name, instrument?.state);
  useEffect(() => {
    document.title = `${name} · Kymograph`;
  }, [name]);
  if (!instrument) return html`<${Missing} name=${name} />`;
  const own = streamsOf(name);
  const scan = own.find(isScan);
  const readings = own.filter(isReading);
  const others = own.filter((stream) => stream !== scan);
  return html`
    <div class="title">
      <a class="button button--bare" href=${link()} aria-label="Back to the overview"
        ><${Icon} name="back"
      /></a>
      <h1>${name}</h1>
      <${StateBadge} instrument=${instrument} />
      ${instrument.simulated && html`<span class="tag">simulated</span>`}
    </div>
    <${Controls} instrument=${instrument} />
    <${Fault} instrument=${instrument} />
    <div class="split">
      <div class="split__main">
        ${readings.map((one) => html`<${Present} key=${one.name} stream=${one} instrument=${instrument} />`)}
        ${scan && html`<${Polar} stream=${scan} />`}
        ${others.map((stream) => html`<${StripChart} key=${stream.name} stream=${stream} />`)}
        ${scan && html`<${StripChart} stream=${scan} first=${["distance"]} />`}
      </div>
      <div class="split__side">
        ${own
          .filter((stream) => !isReading(stream))
          .map((stream) => html`<${Values} key=${stream.name} stream=${stream} />`)}
        ${detail && html`<${Settings} detail=${detail} onChanged=${reload} />`}
        <${Health} instrument=${instrument} />
        ${detail && html`<${Commands} detail=${detail} />`}
      </div>
    </div>
    <${MarkField} />
  `;
}
