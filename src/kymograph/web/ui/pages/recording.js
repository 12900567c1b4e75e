// One recording: look into it, check it, annotate it, take it.
import { html, useEffect, useMemo, useState } from "../html.js";
import { bytes, count, duration, moment } from "../format.js";
import { Fact } from "../instrument/health.js";
import { Choice } from "../plot/choice.js";
import { Completeness, LedgerBadge } from "../recording/completeness.js";
import { Downloads } from "../recording/downloads.js";
import { Ending } from "../recording/endings.js";
import { EventList } from "../recording/event_list.js";
import { eventTime, gapsOf } from "../recording/gaps.js";
import { useRecording } from "../recording/loading.js";
import { Metadata } from "../recording/metadata.js";
import { MarkField } from "../recording/marks.js";
import { MirrorsOf } from "../recording/mirrors.js";
import { momentsOf } from "../recording/moments.js";
import { Preview } from "../recording/preview.js";
import { isScan } from "../instrument/scan.js";
import { Turns } from "../recording/turns.js";
import { Segments } from "../recording/segments.js";
import { Icon } from "../shell/icons.js";
import { link } from "../shell/router.js";
import { useCommands } from "../stand/orders.js";
import { formatLabel, recorders, stationNow, tick } from "../station/state.js";

const MARK_VIEW_S = 10;

function toLedger() {
  document.querySelector("[data-test=ledger]")?.scrollIntoView({ block: "start", behavior: "smooth" });
}

function Head({ recording, ledger }) {
  const recorder = recorders.value.find((one) => one.recording_id === recording.id);
  const now = recorder ?? recording;
  const end = recording.ended_ns ? recording.ended_ns / 1e9 : tick.value && stationNow();
  return html`
    <div class="title">
      <a class="button button--bare" href=${link("recordings")} aria-label="Back to the recordings"
        ><${Icon} name="back"
      /></a>
      <h1>${recording.name}</h1>
      <${Ending} ended=${recording.ended} />
      ${
        ledger &&
        ledger.state !== "running" &&
        html`<button class="plain title__state" onClick=${toLedger} title=${ledger.summary}>
          <${LedgerBadge} state=${ledger.state} />
        </button>`
      }
    </div>
    <dl class="facts facts--head">
      <${Fact} label="Started">${moment(recording.started_ns)}<//>
      <${Fact} label="Lasted">${duration(end - recording.started_ns / 1e9)}<//>
      <${Fact} label="Rows">${count(now.rows)}<//>
      <${Fact} label="Size">${bytes(now.size_bytes)}<//>
      <${Fact} label="Kept as">${formatLabel(recording.format)}<//>
    </dl>
  `;
}

function Origin({ origin }) {
  const entries = Object.entries(origin ?? {});
  if (!entries.length) return null;
  return html`
    <details class="origin">
      <summary>How it was made</summary>
      <pre class="answer">${JSON.stringify(origin, null, 2)}</pre>
    </details>
  `;
}

function Take({ recording, stream, range }) {
  const several = recording.streams.length > 1;
  return html`
    <section class="panel" aria-label="Downloads" data-test="downloads">
      <h2>Take the data</h2>
      <h3>All of it${several && ", the streams in one zip"}</h3>
      <${Downloads} recording=${recording} range=${null} />
      ${
        several &&
        html`<h3>Only ${stream}</h3>
          <${Downloads} recording=${recording} stream=${stream} range=${null} />`
      }
      ${
        range &&
        html`<h3>${several ? `Of ${stream}, the` : "The"} ${duration(range[1] - range[0])} that are shown</h3>
          <${Downloads} recording=${recording} stream=${stream} range=${range} />`
      }
    </section>
  `;
}

function Side({ recording, events, side, onPick, onChanged }) {
  return html`
    <div class="split__side">
      <${MirrorsOf} id=${recording.id} side=${side} />
      <section class="panel" aria-label="Notes">
        <h2>Notes</h2>
        <${Metadata} recording=${recording} onChanged=${onChanged} />
      </section>
      <section class="panel" aria-label="Events">
        <h2>Marks, gaps and events</h2>
        <${EventList}
          events=${events}
          onPick=${onPick}
          empty="None. While it records, the key M sets a mark." />
      </section>
      <section class="panel" aria-label="Origin"><${Origin} origin=${recording.origin} /></section>
    </div>
  `;
}

function Files({ recording, segments, ledger }) {
  return html`
    <section class="panel" aria-label="Files">
      <h2>Sealed files <small>${count(ledger?.expected.segments ?? segments.length)}</small></h2>
      <${Segments} id=${recording.id} segments=${segments} ledger=${ledger} running=${recording.running} />
    </section>
  `;
}

/** One stream of it: preview, the scan at a moment, downloads. `range` and `at` are shared by all of them. */
function Look({ recording, segments, events, ledger, stream, onChanged, onLedger }) {
  const [range, setRange] = useState(null);
  const [at, setAt] = useState(null);
  const scan = isScan(stream);
  const commands = useCommands();
  const notes = useMemo(
    () => ({
      gaps: gapsOf(events, stream.name),
      marks: [...(scan && at !== null ? [{ at, kind: "place" }] : []), ...momentsOf(events)],
    }),
    [events, stream, scan, at, commands],
  );
  const pick = (event) => {
    const moment = eventTime(event) / 1e9;
    setRange([moment - MARK_VIEW_S / 2, moment + MARK_VIEW_S / 2]);
    setAt(moment);
  };
  const show = ([from, to]) => {
    const around = Math.max(MARK_VIEW_S, ((to - from) / 1e9) * 2) / 2;
    const middle = (from + to) / 2e9;
    setRange([middle - around, middle + around]);
    document.querySelector("[data-test=preview]")?.scrollIntoView({ block: "center" });
  };
  return html`
    <${Preview}
      key=${stream.name}
      ...${{ recording, stream, range, setRange, notes }}
      version=${recording.running ? recording.rows : 0}
      onPick=${scan ? setAt : undefined} />
    <div class="split">
      <div class="split__main">
        <${Completeness} ...${{ recording, segments, ledger, onLedger }} onPick=${show} />
        ${scan && html`<${Turns} ...${{ recording, stream, at, setAt }} />`}
        <${Take} recording=${recording} stream=${stream.name} range=${range} />
        <${Files} ...${{ recording, segments, ledger }} />
      </div>
      <${Side} ...${{ recording, events, onChanged }} side=${ledger?.side} onPick=${pick} />
    </div>
  `;
}

function Nothing() {
  return html`
    <section class="empty">
      <h1>There is no such recording</h1>
      <a href=${link("recordings")}>See all recordings</a>
    </section>
  `;
}

export function Page({ id }) {
  const { recording, segments, events, missing, ledger, setRecording, setLedger } = useRecording(id);
  const [chosen, setChosen] = useState("");
  useEffect(() => {
    document.title = `${recording?.name ?? "Recording"} · Kymograph`;
  }, [recording?.name]);
  if (missing) return html`<${Nothing} />`;
  if (!recording) return html`<p class="quiet">Reading the recording…</p>`;
  const { streams } = recording;
  const stream = streams.find(({ name }) => name === chosen) ?? streams[0];
  const options = streams.map(({ name }) => [name, name]);
  return html`
    <${Head} recording=${recording} ledger=${ledger} />
    ${
      streams.length > 1 &&
      html`<${Choice} label="Stream" options=${options} value=${stream.name} onChange=${setChosen} />`
    }
    <${Look}
      ...${{ recording, segments, events, ledger, stream }}
      onChanged=${setRecording}
      onLedger=${setLedger} />
    <${MarkField} />
  `;
}
