// How full the disk is, what retention would delete next and why, what it leaves alone, what it did.
import { html, useState } from "../html.js";
import { bytes, count, moment } from "../format.js";
import { Confirm } from "../shell/dialog.js";
import { Icon } from "../shell/icons.js";
import { toast } from "../shell/toasts.js";
import { get, post } from "../station/api.js";
import { may } from "../station/person.js";
import { attempt } from "../station/state.js";
import { spanWords } from "./fields.js";
import { usePolled } from "./polled.js";

const REFRESH_S = 15;
const TOMBSTONES_SHOWN = 8;
const HELD = {
  young: "too young to go",
  unshipped: "not shipped yet",
  pinned: "pinned",
  running: "being recorded",
};

function Disk({ disk, thresholds }) {
  const limit = thresholds.used_percent_max;
  const over = disk.excess_bytes > 0;
  return html`
    <div class="disk">
      <p>
        <b>${Math.round(disk.used_percent)} %</b> of the disk is used, ${bytes(disk.free_bytes)} are free; above
        ${" "}<b>${limit} %</b> what has arrived elsewhere is thinned.
      </p>
      <svg class="disk__bar" viewBox="0 0 100 10" preserveAspectRatio="none" aria-hidden="true">
        <rect class="disk__all" width="100" height="10" />
        <rect class="disk__used ${over ? "disk__used--over" : ""}" width=${disk.used_percent} height="10" />
        <rect class="disk__limit" x=${Math.min(limit, 99.6)} width="0.4" height="10" />
      </svg>
    </div>
  `;
}

function amount({ rows, segments, size_bytes: size }) {
  const what = segments ? `${count(segments)} files` : `${count(rows)} readings`;
  return `${what}, about ${bytes(size)}`;
}

function Next({ items }) {
  if (!items.length) return html`<p class="quiet" data-test="next">Nothing would be deleted now.</p>`;
  return html`
    <ul class="lines" data-test="next">
      ${items.map(
        (one) => html`
          <li class="line-item">
            <${Icon} name=${one.unsynced ? "alert" : "trash"} />
            <span
              ><b>${amount(one)}</b> of ${one.stream}: ${one.why}${
                one.width_s > 0 && `; one in ${spanWords(one.width_s)} stays`
              }${one.unsynced && html`<small class="wrong">no hub has them</small>`}</span
            >
          </li>
        `,
      )}
    </ul>
  `;
}

/** `{young: 12}` of readings, `{young: {segments, size_bytes}}` of recordings. */
function heldText(stream, why, told) {
  const words = HELD[why] ?? why;
  if (typeof told === "number") return `${count(told)} ${stream} ${words}`;
  return `${count(told.segments)} files (${bytes(told.size_bytes)}) of ${stream} ${words}`;
}

function HeldBack({ held }) {
  const all = Object.entries(held).flatMap(([stream, reasons]) =>
    Object.entries(reasons).map(([why, told]) => heldText(stream, why, told)),
  );
  if (!all.length) return null;
  return html`
    <h3>Stays</h3>
    <ul class="lines">
      ${all.map((text) => html`<li key=${text} class="line-item"><${Icon} name="shield" /><span>${text}</span></li>`)}
    </ul>
  `;
}

function Gone({ passes, tombstones }) {
  const last = passes.find(({ done }) => done.length) ?? passes[0];
  return html`
    ${
      last &&
      html`<p class="quiet">
        Last looked ${moment(passes[0].started_ns)}${
          last.done.length
            ? `; last deleted ${moment(last.started_ns)}: ${last.done.map(amount).join("; ")}`
            : ""
        }.
      </p>`
    }
    ${
      tombstones.length > 0 &&
      html`<details class="origin">
        <summary>What is left of what was deleted (${count(tombstones.length)})</summary>
        <ul class="lines">
          ${tombstones.slice(0, TOMBSTONES_SHOWN).map(
            (one) => html`
              <li key=${one.id} class="line-item">
                <${Icon} name="trash" /><span
                  >${one.what}: ${count(one.rows)} rows of ${one.stream}, ${bytes(one.size_bytes)}
                  <small>${moment(one.time_ns)}, ${one.reason}</small></span
                >
              </li>
            `,
          )}
        </ul>
      </details>`
    }
  `;
}

function RunNow({ onDone }) {
  const [asked, setAsked] = useState(false);
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setAsked(false);
    setBusy(true);
    const told = await attempt(post("retention/run"));
    setBusy(false);
    if (!told) return;
    const freed = told.result ? `${bytes(told.result.freed_bytes)} freed` : "It is under way.";
    toast({ kind: "good", title: told.done ? "Retention has looked" : "Retention is asked", hint: freed });
    onDone();
  };
  return html`
    <button class="button" disabled=${busy} onClick=${() => setAsked(true)}>
      ${busy ? "Looking…" : "Do it now"}
    </button>
    ${
      asked &&
      html`<${Confirm} title="Delete now?" verb="Delete now" onYes=${run} onNo=${() => setAsked(false)}>
        What is listed goes now instead of at the next look. Its roll-ups stay.
      <//>`
    }
  `;
}

export function Retention() {
  const { answer, problem, again } = usePolled(() => get("retention"), REFRESH_S);
  return html`
    <section class="panel" aria-label="Retention" data-test="retention">
      <h2>Room, and what would go next</h2>
      ${problem && html`<p class="fault"><${Icon} name="alert" /><span>${problem.message}</span></p>`}
      ${
        answer &&
        html`
          <${Disk} disk=${answer.disk} thresholds=${answer.thresholds} />
          <p class="quiet">
            ${count(answer.database.readings)} readings
            (${bytes(answer.database.size_bytes)}),${" "}${count(answer.recordings.segments)} files of recordings
            (${bytes(answer.recordings.size_bytes)}).
          </p>
          ${!answer.enabled && html`<p class="quiet">Retention is off: nothing is ever deleted.</p>`}
          ${answer.paused && html`<p class="fault"><${Icon} name="pause" /><span>Nothing is deleted at present: ${answer.paused}</span></p>`}
          <h3>Goes next</h3>
          <${Next} items=${answer.next} />
          <${HeldBack} held=${answer.held_back} />
          <${Gone} passes=${answer.passes} tombstones=${answer.tombstones} />
          ${
            may("record") &&
            answer.next.length > 0 &&
            answer.enabled &&
            html`<div class="row"><${RunNow} onDone=${again} /></div>`
          }
        `
      }
    </section>
  `;
}
