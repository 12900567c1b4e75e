// The completeness of a recording: expected, held, verified, and exactly which rows are missing and why.
import { html, useMemo, useState } from "../html.js";
import { bytes, count, duration, moment, timeOfDay } from "../format.js";
import { Icon } from "../shell/icons.js";
import { copyText } from "../shell/copy.js";
import { api } from "../station/api.js";
import { attempt, stationNow, tick } from "../station/state.js";
import { isQuiet } from "./gaps.js";
import { placeOf, runsOf, TimeLine } from "./time_line.js";

const SHOWN_FIRST = 10;
const SHOWN_MORE = 200;
const STATES = {
  complete: ["good", "check", "complete"],
  running: ["running", null, "running"],
  incomplete: ["bad", "alert", "incomplete"],
  damaged: ["bad", "alert", "damaged"],
};

export function LedgerBadge({ state }) {
  const [kind, icon, words] = STATES[state] ?? ["", null, state];
  return html`<span class="badge badge--${kind}" data-state=${state}
    >${icon ? html`<${Icon} name=${icon} />` : html`<i class="dot" aria-hidden="true"></i>`}${words}</span
  >`;
}

/** How long ago a moment of the station was, in words. */
export function ago(ns) {
  if (!ns) return "never";
  return `${duration(Math.max(0, tick.value && stationNow() - ns / 1e9))} ago`;
}

const SOURCE_WORDS = {
  running: "it was still recording",
  partial: "not all of it was here yet",
  whole: "all of it was here",
};

/** Of a mirror: where it comes from, and when that was last heard. */
export function Source({ source }) {
  return html`
    <dl class="list source" data-test="source">
      <div>
        <dt>mirror of</dt>
        <dd>${source.station ?? "a station"} at <span class="code">${source.url}</span></dd>
      </div>
      <div>
        <dt>last contact</dt>
        <dd>${ago(source.last_contact_ns)}<small> ${moment(source.last_contact_ns)}</small></dd>
      </div>
      <div>
        <dt>at that time</dt>
        <dd>${SOURCE_WORDS[source.state] ?? source.state}</dd>
      </div>
      ${
        source.error &&
        html`<div>
          <dt>error</dt>
          <dd class="wrong">${source.error}</dd>
        </div>`
      }
    </dl>
  `;
}

function Amounts({ ledger: { expected, held, verified } }) {
  const row = (name, amount, note) => html`
    <tr key=${name} data-test=${name}>
      <th scope="row">${name}${note && html`<small>${note}</small>`}</th>
      <td class=${amount.segments < expected.segments && name === "held" ? "wrong" : ""}>
        ${count(amount.segments)}
      </td>
      <td>${count(amount.rows)}</td>
      <td>${bytes(amount.size_bytes)}</td>
    </tr>
  `;
  return html`
    <table class="amounts">
      <thead>
        <tr>
          <td></td>
          <th scope="col">files</th>
          <th scope="col">rows</th>
          <th scope="col">size</th>
        </tr>
      </thead>
      <tbody>
        ${row("expected", expected)} ${row("held", held)}
        ${row("verified", verified, verified.at_ns && moment(verified.at_ns))}
      </tbody>
    </table>
  `;
}

function rowsText({ rows, from_seq: from, to_seq: to }, quiet) {
  if (quiet) return "none were made";
  if (rows === null) return "nobody knows how many";
  return to === null || to <= from ? count(rows) : `${count(rows)} (${count(from)} to ${count(to - 1)})`;
}

function whenText(place) {
  if (!place) return "–";
  const [from, to] = place.map((ns) => ns / 1e9);
  const decimals = to - from < 20 ? 3 : 0;
  return html`<span class="nowrap">${timeOfDay(from, decimals)} –</span> ${" "}
    <span class="nowrap">${timeOfDay(to, decimals)}</span>`;
}

function filesText(files) {
  if (files.length <= 2) return files.join(", ") || null;
  return `${files[0]} … ${files.at(-1)} (${count(files.length)} files)`;
}

function MissingRow({ one, runs, onPick }) {
  const place = placeOf(one, runs);
  const quiet = isQuiet(one);
  const when = whenText(place);
  return html`
    <tr class=${quiet ? "lost lost--quiet" : "lost"}>
      <th scope="row" data-label="When">
        ${
          place && onPick ? html`<button class="plain" onClick=${() => onPick(place)}>${when}</button>` : when
        }
      </th>
      <td data-label="Lasting">${place ? duration((place[1] - place[0]) / 1e9) : "–"}</td>
      <td data-label="Rows">${rowsText(one, quiet)}</td>
      <td data-label="Why"><b>${one.reason}</b></td>
      <td data-label="File">${filesText(one.files ?? [])}</td>
    </tr>
  `;
}

function Ranges({ ranges, label, runs, onPick }) {
  const [limit, setLimit] = useState(SHOWN_FIRST);
  const shown = ranges.slice(0, limit);
  return html`
    <div class="scroll">
      <table class="table table--stack">
        <caption class="unseen">
          ${label}
        </caption>
        <thead>
          <tr>
            <th>When</th>
            <th>Lasting</th>
            <th>Rows</th>
            <th>Why</th>
            <th>File</th>
          </tr>
        </thead>
        <tbody>
          ${shown.map((one, i) => html`<${MissingRow} key=${i} one=${one} runs=${runs} onPick=${onPick} />`)}
        </tbody>
      </table>
    </div>
    ${
      shown.length < ranges.length &&
      html`<button class="button" onClick=${() => setLimit(limit + SHOWN_MORE)}>
        Show more of ${count(ranges.length)}
      </button>`
    }
  `;
}

/** What is missing is shown; times in which nothing was sent are shown to who asks. */
function Missing({ stream, runs, onPick }) {
  const quiet = stream.missing.filter(isQuiet);
  const lost = stream.missing.filter((one) => !isQuiet(one));
  const words = quiet.length === 1 ? "1 silence" : `${count(quiet.length)} silences`;
  return html`
    ${
      lost.length > 0 &&
      html`<div data-test="missing">
        <${Ranges} ranges=${lost} label="Missing rows of ${stream.stream}" ...${{ runs, onPick }} />
      </div>`
    }
    ${
      quiet.length > 0 &&
      html`<details class="origin" data-test="silences">
        <summary>${words}: nothing was sent, so nothing is missing</summary>
        <${Ranges} ranges=${quiet} label="Silences of ${stream.stream}" ...${{ runs, onPick }} />
      </details>`
    }
  `;
}

/** Where the bar of a stream ends (ns): now while it runs, else with what is known last. */
function endOf({ ledger, stream, recording }) {
  if (recording.ended_ns) return recording.ended_ns;
  if (ledger.side === "source" && ledger.running) return stationNow() * 1e9;
  const times = stream.missing.flatMap((one) => [one.from_ns, one.until_ns]).filter(Boolean);
  return times.reduce((a, b) => Math.max(a, b), Math.max(recording.started_ns, stream.last_ns ?? 0));
}

/** One stream; worked out once an answer, as there may be ten thousand files. */
function StreamPart({ ledger, stream, segments, recording, onPick }) {
  const several = ledger.streams.length > 1;
  const drawn = useMemo(() => {
    const own = segments.filter((one) => one.stream === stream.stream).sort((a, b) => a.index - b.index);
    const runs = runsOf(own);
    const end = endOf({ ledger, stream, recording });
    const line = { ledger, stream, segments: own, runs, begin: recording.started_ns, end };
    return { runs, line: html`<${TimeLine} ...${line} />` };
  }, [ledger, segments, recording.ended_ns]);
  return html`
    <section class="part" aria-label="Completeness of ${stream.stream}">
      ${
        several &&
        html`<h3>${stream.stream}, ${count(stream.held_rows)} of ${count(stream.expected_rows)} rows</h3>`
      }
      ${drawn.line}
      <${Missing} stream=${stream} runs=${drawn.runs} onPick=${onPick} />
    </section>
  `;
}

function VerifyButton({ recording, ledger, onLedger }) {
  const [since, setSince] = useState(0);
  const [found, setFound] = useState(null);
  const done = ledger?.verified.segments === ledger?.expected.segments;
  const check = async () => {
    setSince(Date.now());
    setFound(null);
    // What was hashed before is not hashed again by itself; who asks again wants every byte read again.
    const report = done ? await attempt(api.verify(recording.id)) : undefined;
    const next = await attempt(api.completeness(recording.id, true));
    if (next) onLedger(next);
    if (next) setFound({ ledger: next, report });
    setSince(0);
  };
  const size = bytes(ledger?.held.size_bytes);
  const seconds = since && Math.max(0, (tick.value - since) / 1000);
  return html`
    <div class="row" aria-live="polite">
      <button class="button" disabled=${since > 0} aria-busy=${since > 0} onClick=${check} data-test="verify">
        ${since > 0 ? html`<i class="spinner" aria-hidden="true"></i>` : html`<${Icon} name="shield" />`}
        ${since > 0 ? `Reading ${size}…` : "Verify every byte"}
      </button>
      ${since > 0 && seconds >= 2 && html`<span class="quiet">${duration(seconds)}</span>`}
      ${found && html`<${Verdict} ...${found} />`}
    </div>
  `;
}

function Verdict({ ledger, report }) {
  const bad = ledger.files.filter(({ state }) => state !== "verified");
  const damaged = report?.ok === false;
  if (!bad.length && !damaged) {
    return html`<p class="verdict verdict--good">
      <${Icon} name="check" />All ${count(ledger.files.length)} files are as they were sealed.
    </p>`;
  }
  const words = (state) => (state === "missing" ? "is not here" : "has changed since it was sealed");
  const texts = bad.map(({ filename, state }) => `${filename} ${words(state)}`);
  return html`
    <div class="verdict verdict--bad">
      <p>
        <${Icon} name="alert" />Not as it was sealed: ${texts.slice(0, 3).join("; ")}
        ${texts.length > 3 && ` and ${count(texts.length - 3)} more`}${!texts.length && (report?.error ?? "a journal is damaged")}
      </p>
    </div>
  `;
}

function RootHash({ hash }) {
  if (!hash) return null;
  return html`
    <div class="root">
      <span class="root__label"
        >Root hash <small>what <code>sha256sum SHA256SUMS</code> says</small></span
      >
      <code class="root__hash" data-test="root-hash">${hash}</code>
      <button class="button" onClick=${() => copyText("Root hash", hash)}>
        <${Icon} name="copy" />Copy<span class="unseen"> the root hash</span>
      </button>
    </div>
  `;
}

/** `onPick([from, to])` shows a range (ns) of a stream. */
export function Completeness({ recording, segments, ledger, onLedger, onPick }) {
  if (!ledger) {
    return html`<section class="panel" aria-label="Completeness">
      <h2>Completeness</h2>
      <p class="quiet">Comparing what is there with what there should be…</p>
    </section>`;
  }
  return html`
    <section
      class="panel ledger ledger--${ledger.state}"
      aria-label="Completeness"
      data-test="ledger"
      id="completeness">
      <div class="toolbar">
        <h2>Completeness</h2>
        <${LedgerBadge} state=${ledger.state} />
      </div>
      <p class="ledger__summary" data-test="summary">${ledger.summary}</p>
      ${ledger.source && html`<${Source} source=${ledger.source} />`}
      <${Amounts} ledger=${ledger} />
      <${VerifyButton} ...${{ recording, ledger, onLedger }} />
      ${ledger.streams.map(
        (stream) =>
          html`<${StreamPart} key=${stream.stream} ...${{ ledger, stream, segments, recording, onPick }} />`,
      )}
      <${RootHash} hash=${ledger.root_hash} />
    </section>
  `;
}
