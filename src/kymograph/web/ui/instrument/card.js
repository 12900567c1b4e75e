// One instrument on the overview: what it is doing, how it looks right now, and what can be done with it.
import { html } from "../html.js";
import { duration } from "../format.js";
import { link } from "../shell/router.js";
import { Icon } from "../shell/icons.js";
import { MiniTraces } from "../plot/mini_trace.js";
import { streamsOf } from "../station/state.js";
import { Actions } from "./actions.js";
import { doing, isMoving, StateBadge } from "./doing.js";
import { HealthLine } from "./health.js";
import { MiniPolar } from "./polar.js";
import { isScan } from "./scan.js";
import { BigValues } from "./values.js";

const SHOWN = 3;
const CLOSED_WORDS = { closed: "Closed. Start it to see its data." };

export function Fault({ instrument }) {
  if (!instrument.error) return null;
  const retry = instrument.retry_in_s;
  return html`
    <p class="fault" role="alert">
      <${Icon} name="alert" />
      <span>
        ${instrument.error}
        ${
          retry !== null &&
          retry !== undefined &&
          html`<small>Trying again in ${duration(Math.max(0, Math.ceil(retry)))}.</small>`
        }
      </span>
    </p>
  `;
}

function View({ instrument, stream }) {
  if (instrument.state === "closed" || !stream) {
    return html`<p class="card__blank">
      ${isMoving(instrument) ? doing(instrument) : (CLOSED_WORDS[instrument.state] ?? "No data yet.")}
    </p>`;
  }
  if (isScan(stream)) return html`<${MiniPolar} stream=${stream} />`;
  const names = stream.channels.slice(0, SHOWN).map(({ name }) => name);
  return html`
    <div class="card__lanes">
      <div class="card__bigs"><${BigValues} stream=${stream} names=${names} /></div>
      <div class="card__traces"><${MiniTraces} stream=${stream} names=${names} /></div>
    </div>
  `;
}

function deviceLine({ device, driver }) {
  const model = device?.model ?? device?.name;
  return [driver, model, device?.firmware && `firmware ${device.firmware}`].filter(Boolean).join(" · ");
}

export function InstrumentCard({ instrument }) {
  const stream = streamsOf(instrument.name)[0];
  return html`
    <article class="card card--${instrument.state}" aria-label="Instrument ${instrument.name}">
      <header class="card__head">
        <div>
          <h2><a href=${link("instruments", instrument.name)}>${instrument.name}</a></h2>
          <p class="card__sub">
            ${deviceLine(instrument)}${instrument.simulated && html` <span class="tag">simulated</span>`}
          </p>
        </div>
        <${StateBadge} instrument=${instrument} />
      </header>
      <${Fault} instrument=${instrument} />
      ${
        instrument.state !== "fault" &&
        html`<a
          class="card__view"
          href=${link("instruments", instrument.name)}
          aria-label="Open ${instrument.name}"
          ><${View} instrument=${instrument} stream=${stream}
        /></a>`
      }
      <${HealthLine} health=${instrument.health} state=${instrument.state} />
      <footer class="card__foot">
        <${Actions} instrument=${instrument} />
        <a class="button button--link" href=${link("instruments", instrument.name)}
          >Open<${Icon} name="next"
        /></a>
      </footer>
    </article>
  `;
}
