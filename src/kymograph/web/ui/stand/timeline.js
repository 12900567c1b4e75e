// The steps of a sequence with their times: what would happen, and, while it runs, what has.
import { html, useEffect, useRef } from "../html.js";
import { Icon } from "../shell/icons.js";
import { patternText } from "./told.js";

const PATTERN = /^(\S+) (\S+) (\w+)=\[([\d., ]+)\]/;

/** The text of a step; a pattern of valves as which of them open. */
function textOf({ text }) {
  const found = PATTERN.exec(text);
  if (!found) return text.replace(/:$/, "");
  const [whole, instrument, command, argument, digits] = found;
  const said = patternText(instrument, command, { [argument]: digits.split(",").map(Number) });
  return said ? said + text.slice(whole.length) : text;
}

function isGroup({ text }) {
  return text.endsWith(":");
}

/** Seconds as 4.5 s, or from a minute on as 1:08. */
function secondsText(s) {
  if (s < 60) return `${s.toFixed(s < 10 ? 1 : 0)} s`;
  return `${Math.floor(s / 60)}:${String(Math.floor(s % 60)).padStart(2, "0")}`;
}

function whenText({ earliest_s: from, latest_s: to }) {
  return to > from ? `${secondsText(from)} … ${secondsText(to)}` : secondsText(from);
}

function Step({ step, state, last }) {
  const here = useRef(null);
  useEffect(() => {
    const list = here.current?.parentElement;
    if (last && list) list.scrollTop = here.current.offsetTop - list.clientHeight / 3;
  }, [last]);
  return html`
    <li
      class="step step--${state} ${step.always ? "step--always" : ""} ${isGroup(step) ? "step--group" : ""}"
      ref=${here}
      data-step=${state}
      aria-current=${state === "now" ? "step" : null}>
      <span class="step__tick" aria-hidden="true">
        ${state === "done" ? html`<${Icon} name="check" />` : html`<i class="dot"></i>`}
      </span>
      <time>${whenText(step)}</time>
      <span class="step__text">${textOf(step)}${step.always && html`<small>always</small>`}</span>
    </li>
  `;
}

/** `at` is the place of the step that was begun last, and `busy` says that it is still under way. */
export function Timeline({ steps, at = -1, busy = false }) {
  if (!steps?.length) return null;
  const stateOf = (i) => {
    if (i === at) return busy ? "now" : "done";
    return i < at ? "done" : "next";
  };
  return html`<ol class="timeline" data-test="timeline" tabindex="0" aria-label="Steps">
    ${steps.map((step, i) => html`<${Step} key=${i} step=${step} state=${stateOf(i)} last=${i === at} />`)}
  </ol>`;
}
