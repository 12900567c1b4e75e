// STOP ALL: always in the same corner of every page, and above everything on it; and below the header what is
// stopped, by whom, and the two steps that reset it.
import { html, useEffect, useState } from "../html.js";
import { timeOfDay } from "../format.js";
import { controlApi } from "../station/control_api.js";
import { askControl, control, moves } from "../station/control.js";
import { person } from "../station/person.js";
import { attempt, tick } from "../station/state.js";
import { dismissStop, notReached, stopAll, stopping } from "../station/stopping.js";
import { Icon } from "./icons.js";

const RESET_S = 30;
const HARDWARE = "use the hardware stop";

function wordsOf(last) {
  if (last?.state === "sending") return "SENDING…";
  if (last?.state === "not_sent" || last?.state === "refused") return "NOT SENT";
  return "STOP ALL";
}

/**
 * The button itself. It acts as it is pressed down, not when it is let go; a click without a press before it
 * is one of the keyboard.
 */
export function StopAll() {
  useEffect(() => {
    const pressed = (event) => {
      if (!(event.key === "." && (event.ctrlKey || event.metaKey)) || !moves.peek()) return;
      event.preventDefault();
      stopAll();
    };
    addEventListener("keydown", pressed, true);
    return () => removeEventListener("keydown", pressed, true);
  }, []);
  useEffect(() => {
    document.documentElement.classList.toggle("has-stop", moves.value);
  }, [moves.value]);
  if (!moves.value) return null;
  const last = stopping.value;
  const stopped = control.value?.stopped;
  return html`
    <button
      class="stopall ${stopped ? "stopall--on" : ""} ${last ? `stopall--${last.state}` : ""}"
      data-always
      data-test="stop-all"
      aria-keyshortcuts="Control+."
      title="Everything into its safe state, at once, for anybody (Ctrl + .)"
      onPointerDown=${(event) => event.button === 0 && stopAll()}
      onClick=${(event) => event.detail === 0 && stopAll()}>
      <i class="stopall__sign" aria-hidden="true"></i>
      <span>${wordsOf(last)}</span>
    </button>
  `;
}

function NotSent({ last }) {
  const times = last.tries === 1 ? "once" : `${last.tries} times`;
  const tries = last.given_up ? "given up" : `tried ${times}, trying on`;
  return html`
    <section class="alarm alarm--not-sent" role="alert" data-test="not-sent">
      <p class="alarm__word">NOT SENT – ${HARDWARE}</p>
      <p>
        ${last.state === "refused"
          ? `The station refused the stop: ${last.detail}.`
          : `The station did not confirm it${last.detail ? ` (${last.detail})` : ""}; ${tries}.`}
      </p>
      <button class="button" onClick=${dismissStop}>${last.given_up ? "Put away" : "Stop trying"}</button>
    </section>
  `;
}

function Partly({ failed }) {
  return html`
    <section class="alarm alarm--not-sent" role="alert" data-test="partly-sent">
      <p class="alarm__word">Not everything got the stop – ${HARDWARE}</p>
      <p>${failed.map(([name, how]) => `${name}: ${how}`).join("; ")}</p>
      <button class="button" onClick=${dismissStop}>Put away</button>
    </section>
  `;
}

/** What became of a press, where that is not plainly good. */
function Outcome() {
  const last = stopping.value;
  if (!last || last.state === "sending") return null;
  if (last.state !== "sent") return html`<${NotSent} last=${last} />`;
  const failed = notReached(last.sent);
  return failed.length ? html`<${Partly} failed=${failed} />` : null;
}

/** The two steps: the first gives a number, the second gives it back while it is worth something. */
function useReset() {
  const [step, setStep] = useState(null);
  const left = step ? Math.ceil((step.until - tick.value) / 1000) : 0;
  const ask = async () => {
    const answer = await attempt(controlApi.resetStop(person.peek()));
    if (answer) setStep({ confirm: answer.confirm, until: Date.now() + RESET_S * 1000 });
  };
  const confirm = async () => {
    await attempt(controlApi.resetStop(person.peek(), step.confirm));
    setStep(null);
    dismissStop();
    askControl();
  };
  return { step: step && left > 0 ? step : null, left, ask, confirm, leave: () => setStep(null) };
}

function Reset() {
  const { step, left, ask, confirm, leave } = useReset();
  if (!step)
    return html`<button
      class="button alarm__button"
      data-test="reset"
      onClick=${ask}>Reset the stop…</button>`;
  return html`
    <div class="alarm__step" role="group" aria-label="Second step of the reset">
      <p>Nothing moves by it. What was open stays closed.</p>
      <div class="row">
        <button class="button" onClick=${leave}>Stay stopped</button>
        <button class="button alarm__button" data-test="reset-confirm" onClick=${confirm}>
          Yes, reset (${left} s)
        </button>
      </div>
    </div>
  `;
}

function Stopped({ stop }) {
  const at = timeOfDay(stop.time_ns / 1e9);
  const why = stop.reason ? `: ${stop.reason}` : "";
  return html`
    <section class="alarm" role="alert" aria-label="Everything is stopped" data-test="stopped">
      <p class="alarm__word"><${Icon} name="stop" />STOPPED</p>
      <p class="alarm__who">by <b>${stop.by}</b> at ${at}${why}. Nothing moves until it is reset.</p>
      <${Reset} />
    </section>
  `;
}

export function StopBanner() {
  if (!moves.value) return null;
  const stop = control.value?.stop;
  return html`<${Outcome} />${stop && html`<${Stopped} stop=${stop} />`}`;
}
