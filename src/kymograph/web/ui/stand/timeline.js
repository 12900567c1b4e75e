// The steps of a sequence with their times: what would happen, and, while it runs, what has.
import { html, useEffect, useRef } from "../html.js";
import { Icon } from "../shell/icons.js";

function secondsText(s) {
  return s < 60 ? `${s.toFixed(s < 10 ? 1 : 0)} s` : `${Math.floor(s / 60)} min ${Math.round(s % 60)} s`;
}

function whenText({ earliest_s: from, latest_s: to }) {
  return to > from ? `${secondsText(from)} … ${secondsText(to)}` : secondsText(from);
}

/** How far a run is in its timeline: the place of its present step, the last one if it is done. */
export function placeOf(run, nowS) {
  const { timeline = [], line } = run;
  if (run.state === "done") return timeline.length;
  const spent = nowS - (run.started_ns ?? 0) / 1e9;
  const fits = timeline.map((step, i) => [step, i]).filter(([step]) => step.line === line);
  if (!fits.length) return -1;
  const far = ([step]) => Math.abs(Math.max(step.earliest_s - spent, spent - step.latest_s, 0));
  return fits.reduce((best, one) => (far(one) < far(best) ? one : best))[1];
}

function Step({ step, i, at, over }) {
  const here = useRef(null);
  const now = i === at && !over;
  useEffect(() => {
    const list = here.current?.parentElement;
    if (!now || !list) return;
    list.scrollTop = here.current.offsetTop - list.offsetTop - list.clientHeight / 3;
  }, [now]);
  const state = now ? "now" : i < at ? "done" : "next";
  return html`
    <li class="step step--${state} ${step.always ? "step--always" : ""}" ref=${here} data-step=${state} aria-current=${now ? "step" : null}>
      <span class="step__tick" aria-hidden="true">
        ${state === "done" ? html`<${Icon} name="check" />` : html`<i class="dot"></i>`}
      </span>
      <time>${whenText(step)}</time>
      <span class="step__text">${step.text}${step.always && html`<small>always</small>`}</span>
    </li>
  `;
}

/** `at` is the place of the present step; leave it out for a preview. `over` says that nothing runs any more. */
export function Timeline({ steps, at = -1, over = false }) {
  if (!steps?.length) return null;
  return html`<ol class="timeline" data-test="timeline" tabindex="0" aria-label="Steps">
    ${steps.map((step, i) => html`<${Step} key=${i} step=${step} i=${i} at=${at} over=${over} />`)}
  </ol>`;
}
