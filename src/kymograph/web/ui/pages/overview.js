// The overview: record, what every instrument is doing, what happened.
import { html, useEffect } from "../html.js";
import { InstrumentCard } from "../instrument/card.js";
import { EventList } from "../recording/event_list.js";
import { MarkField } from "../recording/marks.js";
import { RecordPanel } from "../recording/record_panel.js";
import { link } from "../shell/router.js";
import { events, instruments, station } from "../station/state.js";

const EVENTS_SHOWN = 12;

function Instruments() {
  const list = instruments.value;
  if (list === null) return html`<p class="quiet">Asking the station…</p>`;
  if (!list.length && station.value?.features?.includes("fleet")) {
    return html`
      <div class="empty">
        <h2>This is a hub</h2>
        <p>Other stations ship here what they read and record.</p>
        <a class="button button--main" href=${link("fleet")}>Look at the fleet</a>
      </div>
    `;
  }
  if (!list.length) {
    return html`
      <div class="empty">
        <h2>There are no instruments here</h2>
        <p>
          Look at what was recorded; or add a table such as <code>[instruments.lidar]</code> to the station
          file and start the station again.
        </p>
        <div class="row">
          <a class="button button--main" href=${link("completeness")}>Is everything here?</a>
          <a class="button" href=${link("recordings")}>Recordings</a>
        </div>
      </div>
    `;
  }
  return html`<div class="cards">
    ${list.map((one) => html`<${InstrumentCard} key=${one.name} instrument=${one} />`)}
  </div>`;
}

export function Page() {
  useEffect(() => {
    document.title = `${station.value?.name ?? "Overview"} · Kymograph`;
  }, [station.value?.name]);
  return html`
    <h1 class="unseen">Overview</h1>
    ${instruments.value?.length !== 0 && html`<${RecordPanel} />`}
    <${Instruments} />
    <section class="panel" aria-label="What happened">
      <h2>What happened</h2>
      <${EventList}
        events=${events.value.slice(0, EVENTS_SHOWN)}
        withDay
        empty="Nothing worth telling so far." />
    </section>
    <${MarkField} />
  `;
}
