// The stand: its state in a word, who holds control, valves and motors, runs, interlocks, and all readings.
import { html, useEffect, useState } from "../html.js";
import { MarkField } from "../recording/marks.js";
import { ControlBar } from "../stand/authority.js";
import { Charts } from "../stand/charts.js";
import { Gauges } from "../stand/gauges.js";
import { numeric } from "../stand/groups.js";
import { Headline } from "../stand/headline.js";
import { Interlocks } from "../stand/interlocks.js";
import { Keeping } from "../stand/keeping.js";
import { Log } from "../stand/log.js";
import { useCommands } from "../stand/orders.js";
import { useReadings } from "../stand/readings.js";
import { followRuns } from "../stand/runs.js";
import { RunsPanel } from "../stand/runs_panel.js";
import { Schematic } from "../stand/schematic.js";
import { Steppers } from "../stand/steppers.js";
import { control, watchControl } from "../station/control.js";
import { station, streams } from "../station/state.js";

const WINDOW_S = 30;

/** The streams of the instruments that have valves, or of all that move where none has; the widest first. */
function standStreams() {
  const movers = new Set((control.value?.actuators ?? []).map(({ instrument }) => instrument));
  return streams.value
    .filter(({ instrument }) => movers.has(instrument))
    .filter((stream) => numeric(stream).length)
    .sort((a, b) => b.channels.length - a.channels.length);
}

function Readings({ of }) {
  const [windowS, setWindow] = useState(WINDOW_S);
  const read = useReadings(of, windowS);
  const { stream, trace } = read[0];
  const channels = numeric(stream);
  return html`
    <${Gauges} stream=${stream} channels=${channels} />
    <${Charts} channels=${channels} trace=${trace} windowS=${windowS} setWindow=${setWindow} />
  `;
}

function useStand() {
  useCommands();
  useEffect(() => watchControl(), []);
  useEffect(() => followRuns(), []);
}

export function Page() {
  useStand();
  useEffect(() => {
    document.title = `Stand · ${station.value?.name ?? "Kymograph"}`;
  }, [station.value?.name]);
  if (!control.value) return html`<p class="quiet">Asking the station…</p>`;
  if (!control.value.actuators.length) {
    return html`<section class="empty">
      <h1>Nothing moves here</h1>
      <p>No instrument of this station has actuators.</p>
    </section>`;
  }
  const read = standStreams();
  return html`
    <h1 class="unseen">Stand</h1>
    <${Headline} />
    <${ControlBar} />
    <div class="stand">
      <div class="stand__main"><${Schematic} /><${Steppers} /><${Keeping} /></div>
      <div class="stand__side"><${Interlocks} /><${RunsPanel} /></div>
    </div>
    ${read.length > 0 && html`<${Readings} of=${read} />`}
    <${Log} />
    <${MarkField} />
  `;
}
